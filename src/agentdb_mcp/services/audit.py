"""The audit trail as it is written: who asked what of which database, and what came of it.

    async with trail.call(principal, kind, "query", sql) as entry:
        …
        return entry.done(result)

Errors, refusals and cancellations are written down by themselves. No parameter or row ever comes here.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.audit import INSTALLATION, Record
from agentdb_mcp.core.changes import Outcome
from agentdb_mcp.core.databases import Kind, ManagedDatabase
from agentdb_mcp.core.errors import AgentDbError, Denied, SqlFailed
from agentdb_mcp.core.ids import UserId
from agentdb_mcp.core.results import ResultSet
from agentdb_mcp.services.outbox import Bounds, Outbox

if TYPE_CHECKING:  # commands that read no SQL need not load its parsers
    from agentdb_mcp.core.guard import ApprovedSql

AGENT: Final = "agent"
OPERATOR: Final = "operator"

LONGEST_ID: Final = 200
"""What callers name and nobody has checked yet is cut here."""

Mode = Literal["batched", "strict", "off"]
"""`strict`: what may change something is written down before it runs, or does not run."""


class Ledger(Protocol):
    """Where records go: the store."""

    async def append_audit(self, records: Sequence[Record], *, again: bool = False) -> int: ...


@dataclass(slots=True)
class Entry:
    """One act, while it happens."""

    trail: "Trail"
    tenant: str
    actor: str
    tool: str
    at: datetime
    began: float
    sql: str | None = None
    only_refusals: bool = False
    """Whether it is kept only when it is refused: what is let pass has an entry of its own later."""
    workspace: str | None = None
    kind: str | None = None
    database: str | None = None
    statement_class: str | None = None
    outcome: str = "ok"
    reason: str | None = None
    rows: int | None = None
    size: int | None = None
    micros: int | None = None
    request: bytes = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._failed(error)
        if error is not None or not self.only_refusals:
            self.trail.keep(self)

    def reached(self, target: Target) -> Target:
        """The database it is about was found; handed through."""
        self.database = target.database_id
        return target

    async def judged(self, approved: "ApprovedSql") -> None:
        """The guard let it pass.

        Where the trail is strict and the statement may change something, this comes back when the intent is
        written down. Raises Unavailable when that cannot be, and then the statement must not run.
        """
        self.statement_class = approved.statement_class
        if approved.statement_class != "read" and not self.only_refusals:
            await self.trail.intend(self)

    def done(self, result: ResultSet) -> ResultSet:
        """What came of it, handed through."""
        self.rows = len(result.rows) if result.affected is None else result.affected
        self.size = result.size
        return result

    def changed(self, outcome: Outcome) -> Outcome:
        """The same of several statements, or of a call that was answered again and changed nothing."""
        counts = [len(each.rows) if each.affected is None else each.affected for each in outcome.results]
        self.rows = sum(counts)
        self.size = sum(each.size or 0 for each in outcome.results)
        self.reason = "replayed" if outcome.replayed else None
        return outcome

    def about(self, database: ManagedDatabase) -> None:
        """A lifecycle act's database, and through it, where nobody said so, whose chain it belongs to."""
        self.tenant = self.tenant or database.user_id
        self.workspace, self.database, self.kind = database.workspace_id, database.id, database.kind

    def _failed(self, error: BaseException) -> None:
        """What went wrong, by its code; its words may hold values."""
        if isinstance(error, AgentDbError):
            self.outcome = error.code
            if isinstance(error, Denied) and error.refusal is not None:
                self.reason = error.refusal.rule
            elif isinstance(error, SqlFailed):
                self.reason = error.sqlstate
        else:
            self.outcome = "internal" if isinstance(error, Exception) else "cancelled"


class Trail:
    """Makes entries of acts and records of entries."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        *,
        mode: Mode = "batched",
        full_text: bool = False,
        fingerprint: Callable[[str], bytes | None] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._mode: Mode = mode
        self._full_text = full_text
        self._fingerprint = fingerprint or _no_fingerprint
        self._outbox: Outbox[Entry] = Outbox(self._send, self._gap, bounds)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator["Trail"]:
        """Records are written inside this block, the last ones at its end."""
        async with self._outbox.writing():
            yield self

    def call(self, principal: Principal, kind: Kind, tool: str, sql: str | None = None) -> Entry:
        """An agent's call of a tool: to be entered; one for each statement."""
        entry = self._entry(principal.user_id, AGENT, tool)
        entry.workspace, entry.kind, entry.sql = principal.workspace_id, kind, sql
        return entry

    def act(self, tool: str, user_id: UserId | None = None, *, actor: str = OPERATOR) -> Entry:
        """What an operator or a host does for a user, or (None) to the installation: to be entered."""
        return self._entry(user_id or INSTALLATION, actor, tool)

    def keep(self, entry: Entry) -> None:
        """An act that is over."""
        if self._mode != "off":
            entry.micros = round((time.perf_counter() - entry.began) * 1_000_000)
            self._outbox.put(entry, entry.tenant, len(entry.sql or ""))

    async def intend(self, entry: Entry) -> None:
        """Where the trail is strict: come back when it is written down that this is about to happen."""
        if self._mode == "strict":
            intent = self._entry(entry.tenant, entry.actor, entry.tool)
            intent.workspace, intent.kind, intent.database = entry.workspace, entry.kind, entry.database
            intent.sql, intent.statement_class = entry.sql, entry.statement_class
            intent.request, intent.outcome = entry.request, "begun"
            await self._outbox.put_now(intent, intent.tenant, len(intent.sql or ""))

    def _entry(self, tenant: str, actor: str, tool: str) -> Entry:
        return Entry(
            self, tenant, actor, tool, self._clock(), time.perf_counter(), request=secrets.token_bytes(8)
        )

    def _gap(self, tenant: str, count: int) -> Entry:
        gap = self._entry(tenant, "agentdb", "audit")
        gap.outcome, gap.rows = "gap", count
        return gap

    async def _send(self, entries: Sequence[Entry], again: bool) -> None:
        # In a thread: reading statements for their fingerprints would hold up calls.
        records = await asyncio.to_thread(self._records, entries)
        await self._ledger.append_audit(records, again=again)

    def _records(self, entries: Sequence[Entry]) -> list[Record]:
        approved = {entry.sql for entry in entries if entry.sql is not None and entry.statement_class}
        prints = {sql: self._fingerprint(sql) for sql in approved}
        return [self._record(entry, prints) for entry in entries]

    def _record(self, entry: Entry, prints: Mapping[str, bytes | None]) -> Record:
        sql = entry.sql
        return Record(
            tenant=_keepable(entry.tenant[:LONGEST_ID]),
            at=entry.at,
            actor=entry.actor,
            tool=entry.tool,
            outcome=entry.outcome,
            workspace=entry.workspace and _keepable(entry.workspace[:LONGEST_ID]),
            kind=entry.kind,
            database=entry.database and _keepable(entry.database[:LONGEST_ID]),
            statement_class=entry.statement_class,
            fingerprint=None if sql is None else prints.get(sql),
            digest=None if sql is None else hashlib.sha256(sql.encode("utf-8", "surrogatepass")).digest(),
            statement=_keepable(sql) if self._full_text and sql is not None else None,
            reason=entry.reason and _keepable(entry.reason[:LONGEST_ID]),
            rows=entry.rows,
            size=entry.size,
            micros=entry.micros,
            request=entry.request,
        )


def _no_fingerprint(_: str) -> None:
    """Of acts that are no statements."""


def _keepable(text: str) -> str:
    """What PostgreSQL's text cannot hold becomes a replacement character; the digest is of the original."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
