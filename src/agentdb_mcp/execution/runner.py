"""An approved statement against its database: one round trip once prepared, within its caps."""

import asyncio
from collections.abc import Sequence
from typing import LiteralString, TypeVar

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Key, Outcome
from agentdb_mcp.core.guard import ApprovedSql, Keyset, StatementClass
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.atomic import Atomic, Step
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.calls import Call, Continuation, Read
from agentdb_mcp.execution.copying import KeyedLoad, Load, Place
from agentdb_mcp.execution.failures import no_connection
from agentdb_mcp.execution.keyed import Keyed, Recall
from agentdb_mcp.execution.parameters import refuse_too_many
from agentdb_mcp.execution.plans import Planning
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.rehearsal import Rehearsal
from agentdb_mcp.execution.rows import Rows
from agentdb_mcp.execution.seeking import NotAKey, Seek
from agentdb_mcp.execution.transactions import END_SECONDS, Transaction

T = TypeVar("T")


class Runner:
    """Reads run as the reader role, everything else as the writer: PostgreSQL itself holds the line."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def begin(self, target: Target, *, idle_seconds: int) -> Transaction:
        """A transaction for several calls; the server ends it when it hears nothing for `idle_seconds`."""
        try:
            async with asyncio.timeout(END_SECONDS):
                return await Transaction.begin(self._pools.pool(target, "writer"), idle_seconds=idle_seconds)
        except TimeoutError:
            raise no_connection(END_SECONDS) from None

    async def run(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        caps: Caps,
        within: Transaction | None = None,
    ) -> ResultSet:
        """The statement's rows within the caps; in a transaction with and for its other statements.

        Raises SqlFailed when PostgreSQL refuses the statement, Invalid for parameters that cannot be sent,
        Unavailable("query_timeout") at `caps.seconds` and Unavailable("database_unavailable") when the
        connection fails. Cancelling the call stops the statement on the server.
        """
        refuse_too_many(params)
        if sql.statement_class is StatementClass.READ:
            return await self._run(target, Read(sql.text, params, caps), within)
        keep = Step(sql, params).comes_again
        return await self._run(target, Call(sql.text, params, caps, reads=False, keep=keep), within)

    async def change(
        self, target: Target, steps: Sequence[Step], caps: Caps, within: Transaction | None = None
    ) -> Outcome:
        """All steps in order and in one transaction, or none of them.

        The rows of all steps together stay within the caps. Raises as `run` does, and TooManyRows; where
        there are several, the error names its step.
        """
        _refuse_too_many(steps)
        step = steps[0]
        if len(steps) > 1 or caps.changes is not None:
            return await self._run(target, Atomic(steps, caps), within)
        call = Call(step.sql.text, step.params, caps, reads=False, keep=step.comes_again)
        return Outcome((await self._run(target, call, within),))

    async def change_once(self, target: Target, steps: Sequence[Step], caps: Caps, key: Key) -> Outcome:
        """The same, once for each key: whatever fails or is killed in between.

        Sent again, the call makes the change or returns what came of it. Raises as `change` does, and
        Invalid("idempotency_conflict") and Unavailable("call_in_progress").
        """
        _refuse_too_many(steps)
        return await self._run(target, Keyed(steps, caps, key))

    async def recall(self, target: Target, caps: Caps, key: Key) -> Outcome | None:
        """What an earlier call with this key did; None when there was none. Raises as `change_once` does."""
        return await self._run(target, Recall(caps, key))

    async def rehearse(
        self, target: Target, steps: Sequence[Step], caps: Caps, within: Transaction | None = None
    ) -> Outcome:
        """What a change would do, with the rows it would touch by table; it is rolled back.

        Deferred constraints are checked too. What PostgreSQL keeps of a transaction that is rolled back is
        kept: sequences have moved on. Raises as `change` does; nothing is ever in doubt.
        """
        _refuse_too_many(steps)
        return await self._run(target, Rehearsal(steps, caps), within)

    async def resume(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        caps: Caps,
        *,
        pages: Sequence[Page],
        most_bytes: int,
    ) -> ResultSet:
        """The rows of a read that follow these pages, each of at most `most_bytes`, within the caps.

        Raises as `run` does, and Missing("cursor_expired") when the statement does not give them again.
        """
        return await self._run(
            target, Continuation(sql.text, params, caps, pages=pages, most_bytes=most_bytes)
        )

    async def seek(
        self, target: Target, sql: ApprovedSql, params: Sequence[JsonValue], caps: Caps, keyset: Keyset
    ) -> ResultSet | None:
        """The rows of `keyset.following`; None when its columns are no key. Raises as `run` does."""
        refuse_too_many(params)
        try:
            return await self._run(target, Seek(sql.text, params, caps, keyset))
        except NotAKey:
            return None

    async def load(
        self,
        target: Target,
        sql: ApprovedSql,
        place: Place,
        rows: Rows,
        *,
        caps: Caps,
        within: Transaction | None = None,
    ) -> Outcome:
        """All rows, or none, for an insertion that was approved. Raises as `change` does."""
        return await self._run(target, Load(sql, place, rows, caps), within)

    async def load_once(
        self, target: Target, sql: ApprovedSql, place: Place, rows: Rows, *, caps: Caps, key: Key
    ) -> Outcome:
        """The same, once for each key. Raises as `load` and `change_once` do."""
        return await self._run(target, KeyedLoad(sql, place, rows, caps, key))

    async def read(
        self,
        target: Target,
        sql: LiteralString,
        params: Sequence[JsonValue],
        caps: Caps,
        within: Transaction | None = None,
    ) -> ResultSet:
        """A reading statement of our own, as the agent's reader role. Raises as `run` does."""
        return await self._run(target, Call(sql, params, caps, reads=True, keep=True), within)

    async def plan(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        within: Transaction | None = None,
    ) -> str:
        """What PostgreSQL would do, as JSON: within two seconds, as the role the statement runs as.

        Raises as `run` does. Nothing is run, and nothing can be changed.
        """
        refuse_too_many(params)
        reads = sql.statement_class is StatementClass.READ
        return await self._run(target, Planning(sql.text, params, reads=reads), within)

    async def _run(self, target: Target, call: Attempt[T], within: Transaction | None = None) -> T:
        if within is not None:
            return await within.run(call)
        pool = self._pools.pool(target, "reader" if call.reads else "writer")
        try:
            async with asyncio.timeout(call.caps.seconds):
                return await call.run(pool)
        except TimeoutError:
            raise call.late() from None


def _refuse_too_many(steps: Sequence[Step]) -> None:
    for step in steps:
        refuse_too_many(step.params)
