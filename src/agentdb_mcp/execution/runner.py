"""An approved statement against its database: one round trip once prepared, within its caps."""

import asyncio
from collections.abc import Sequence
from typing import LiteralString

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.guard import ApprovedSql, StatementClass
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.calls import Call, Continuation, Read
from agentdb_mcp.execution.failures import no_connection, timed_out
from agentdb_mcp.execution.parameters import refuse_too_many
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.rehearsal import Rehearsal
from agentdb_mcp.execution.transactions import END_SECONDS, Transaction


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
        comes_again = sql.statement_class is StatementClass.WRITE
        return await self._run(target, Call(sql.text, params, caps, reads=False, keep=comes_again), within)

    async def rehearse(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        caps: Caps,
        within: Transaction | None = None,
    ) -> ResultSet:
        """What a change would do, with the rows it would touch by table; it is rolled back.

        Deferred constraints are checked too. What PostgreSQL keeps of a transaction that is rolled back is
        kept: sequences have moved on. Raises as `run` does; nothing is ever in doubt.
        """
        refuse_too_many(params)
        return await self._run(target, Rehearsal(sql.text, params, caps), within)

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

    async def read(
        self, target: Target, sql: LiteralString, params: Sequence[JsonValue], caps: Caps
    ) -> ResultSet:
        """A reading statement of our own, as the agent's reader role. Raises as `run` does."""
        return await self._run(target, Call(sql, params, caps, reads=True, keep=True))

    async def _run(self, target: Target, call: Call, within: Transaction | None = None) -> ResultSet:
        if within is not None:
            return await within.run(call)
        pool = self._pools.pool(target, "reader" if call.reads else "writer")
        try:
            async with asyncio.timeout(call.caps.seconds):
                return await call.run(pool)
        except TimeoutError:
            raise timed_out(call.caps.seconds) if call.started else no_connection(call.caps.seconds) from None
