"""What commands share: doing one thing with the application, and saying what came of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.entrypoints.facts import facts_of, facts_of_removal

if TYPE_CHECKING:
    from agentdb_mcp.app import App
    from agentdb_mcp.services.lifecycle import Receipt, Removal
    from agentdb_mcp.services.reconciler import Outcome
    from agentdb_mcp.settings import Settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of words for people.")]

Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Your own name for this call: with it, the call counts once."),
]

FINISHES: Final = "`agentdb reconcile` tries again, `agentdb doctor` says what is in the way"


def settings_of_environment() -> "Settings":
    """The environment, read once; from here on log lines go where they belong."""
    from agentdb_mcp.logs import configure
    from agentdb_mcp.settings import read_settings

    settings = read_settings()
    configure(settings.log_level)
    return settings


def run(work: "Callable[[App], Awaitable[T]]", *, whole: bool = True) -> T:
    """Open the application, do one thing, close it."""
    from agentdb_mcp.app import open_app

    async def inside() -> T:
        async with open_app(settings_of_environment(), whole=whole) as app:
            return await work(app)

    return asyncio.run(inside())


def do(
    key: str | None, asked: Sequence[str], work: "Callable[[App], Awaitable[T]]", say: Callable[[T], str]
) -> None:
    """Do one thing and print what came of it; repeated with its key, print what came of it then."""
    from agentdb_mcp.services.audit import OPERATOR

    async def once(app: "App") -> str:
        async def act() -> dict[str, str]:
            return {"said": say(await work(app))}

        answer, _ = await app.once.call(OPERATOR, key, {"command": list(asked)}, act)
        return answer["said"]

    print(run(once))


def line_of(row: ManagedDatabase) -> str:
    """For people."""
    owner = f"user {row.user_id}" + (f", workspace {row.workspace_id}" if row.workspace_id else "")
    notes = [
        *([f"paused by {', '.join(row.paused_by)}"] if row.paused_by else []),
        *(["protected"] if row.protected else []),
        *([f"kept until {moment(row.delete_after)}"] if row.kept and not row.protected else []),
        *([f"last error: {row.last_error}"] if row.last_error else []),
    ]
    line = f"{row.id}  {row.kind:6}  wanted {row.desired:7}  observed {row.observed:7}  {owner}"
    return "  ".join([line, *notes])


def moment(when: datetime | None) -> str:
    """For people, in UTC."""
    return "-" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def told(subject: str, receipt: "Receipt", *, as_json: bool) -> str:
    """What a lifecycle call left behind."""
    row = receipt.database
    if as_json:
        return json.dumps(facts_of(receipt))
    if receipt.pending:
        return f"{subject}: {row.kind} database {row.id} is pending ({receipt.pending}); {FINISHES}"
    by = f" by {', '.join(row.paused_by)}" if row.paused_by else ""
    steps = [f"  not hardened: {step}" for step in receipt.unhardened]
    return "\n".join([f"{subject}: {row.kind} database {row.id} is {row.desired}{by}", *steps])


def told_deleted(subject: str, removal: "Removal", *, as_json: bool) -> str:
    """That it is deleted, what still waits, and until when which database can be brought back."""
    if as_json:
        return json.dumps(facts_of_removal(removal))
    waits = f"; {removal.waiting} database(s) still wait for the provider; {FINISHES}"
    lines = [f"{subject}: deleted{waits if removal.waiting else ''}"]
    for each in removal.recoverable:
        until = "while it is protected" if each.until is None else f"until {moment(each.until)}"
        lines.append(f"  can be brought back {until}: agentdb database undelete {each.database_id}")
    return "\n".join(lines)


def unfinished(outcome: "Outcome") -> dict[str, object]:
    """What a pass of the reconciler left undone, for programs."""
    return {"failed": dict(outcome.failed), "under_way": outcome.under_way}


def tell_unfinished(outcome: "Outcome") -> None:
    """The same for people; nothing when all is done."""
    for database_id, code in outcome.failed:
        print(f"  {database_id}: {code}")
    if outcome.under_way:
        print(f"{outcome.under_way} under way in another process; if that died, run this again in 15 s")
