"""`agentdb audit`: is the trail as it was written, what does it say, and away with what is too old."""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_mcp.commands.console import AsJson, run
from agentdb_mcp.core.errors import Invalid

if TYPE_CHECKING:
    from agentdb_mcp.app import App
    from agentdb_mcp.core.audit import Link
    from agentdb_mcp.services.auditor import Anchor, Verified

audit = typer.Typer(help="The audit trail: who asked what, and what came of it.", no_args_is_help=True)

User = Annotated[str | None, typer.Option("--user", help="Only this user's chain.")]


@audit.command()
def verify(
    user_id: User = None,
    expect: Annotated[
        str | None, typer.Option(help="SEQ:HASH, where the user's chain ended at an earlier time.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make every hash anew and name each record that was altered, removed, moved or slipped in."""
    if expect is not None and user_id is None:
        raise Invalid("bad_argument", "An expected hash is of one chain.", "Say whose: --user ID.")
    anchor = None if expect is None else _anchor(expect)
    if not run(lambda app: _verify(app, user_id, anchor, as_json=as_json)):
        raise typer.Exit(1)


@audit.command()
def export(
    user_id: User = None,
    since: Annotated[
        str | None, typer.Option(help="A time in ISO 8601, e.g. 2026-11-22 or 2026-11-22T08:00Z; UTC.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl: one JSON object a line.")] = "jsonl",
) -> None:
    """Every record as JSON, oldest first, a chain at a time."""
    if form != "jsonl":
        raise Invalid("bad_argument", f"There is no format '{form[:40]}'.", "The format is jsonl.")
    start = None if since is None else _time(since)
    run(lambda app: _export(app, user_id, start))


@audit.command()
def prune(
    user_id: User = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Keep so many days instead of AGENTDB_AUDIT_DAYS.")
    ] = None,
) -> None:
    """Remove the oldest records, beyond what is to be kept; what remains still verifies."""

    async def act(app: "App") -> int:
        async with app.trail.act("audit prune", actor="operator") as entry:
            entry.rows = await app.auditor.prune(user_id, days=days)
            return entry.rows

    print(f"pruned: {run(act)} records")


async def _verify(app: "App", user_id: str | None, anchor: "Anchor | None", *, as_json: bool) -> bool:
    sound = True
    async for verified in app.auditor.verify(user_id, anchor):
        sound = sound and not verified.faults
        print(json.dumps(_facts(verified)) if as_json else _words(verified))
    strays = await app.auditor.strays()
    if strays:
        print(json.dumps({"strays": strays}) if as_json else f"{strays} records belong to no chain")
    return sound and not strays


def _facts(verified: "Verified") -> dict[str, Any]:
    chain = verified.chain
    return {
        "user": chain.tenant,
        "records": chain.seq - chain.cut_seq,
        "head": chain.anchor,
        "pruned_to": chain.cut_seq,
        "pruned_at": None if chain.cut_at is None else chain.cut_at.isoformat(),
        "pruned_why": chain.cut_why,
        "faults": [{"seq": fault.seq, "words": fault.words} for fault in verified.faults],
    }


def _words(verified: "Verified") -> str:
    chain = verified.chain
    who = f"user {chain.tenant}" if chain.tenant else "the installation"
    cut = f", {chain.cut_seq} before them pruned" if chain.cut_seq else ""
    state = "as appended" if not verified.faults else "NOT AS APPENDED"
    lines = [f"{who}: {chain.seq - chain.cut_seq} records{cut}: {state}  {chain.anchor}"]
    return "\n".join([*lines, *(f"  {fault.words}" for fault in verified.faults)])


async def _export(app: "App", user_id: str | None, since: datetime | None) -> None:
    async for link in app.auditor.export(user_id, since):
        sys.stdout.write(json.dumps(_exported(link), ensure_ascii=False) + "\n")


def _exported(link: "Link") -> dict[str, Any]:
    record = link.record
    return {
        "user": record.tenant,
        "seq": link.seq,
        "at": record.at.isoformat(),
        "actor": record.actor,
        "workspace": record.workspace,
        "kind": record.kind,
        "database": record.database,
        "tool": record.tool,
        "class": record.statement_class,
        "fingerprint": _hex(record.fingerprint),
        "digest": _hex(record.digest),
        "statement": record.statement,
        "outcome": record.outcome,
        "reason": record.reason,
        "rows": record.rows,
        "bytes": record.size,
        "micros": record.micros,
        "cost_micros": record.cost_micros,
        "request": _hex(record.request),
        "hash": link.hash.hex(),
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _anchor(text: str) -> "Anchor":
    seq, _, digits = text.partition(":")
    try:
        return int(seq), bytes.fromhex(digits)
    except ValueError:
        raise Invalid(
            "bad_argument", "That is not SEQ:HASH.", "`agentdb audit verify` prints it for each chain."
        ) from None


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("bad_argument", "That is no time in ISO 8601.", "For example: 2026-11-22.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
