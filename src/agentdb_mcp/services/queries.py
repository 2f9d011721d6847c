"""An agent's statement, from the words it sent to the rows it gets."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.guard import ApprovedSql, Guard, Policy, Tool
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import ALL, Asked, Caps, JsonValue, ResultSet
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.cursors import Cursors, Reading, expired
from agentdb_mcp.services.fairness import Turns

LONG_STATEMENT = 4_096
"""Characters from which a statement is judged in a worker thread, so that other calls go on meanwhile."""


class QueryService:
    """A turn, access, guard, runner: in this order, each refusing on its own."""

    def __init__(
        self,
        access: AccessService,
        guard: Guard,
        policies: Mapping[str, Policy],
        runner: Runner,
        *,
        turns: Turns,
        cursors: Cursors,
        caps: Caps,
    ) -> None:
        self._access = access
        self._guard = guard
        self._policies = policies
        self._runner = runner
        self._turns = turns
        self._cursors = cursors
        self._caps = caps

    async def run(
        self,
        principal: Principal,
        kind: Kind,
        tool: Tool,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        asked: Asked = ALL,
    ) -> ResultSet:
        """The rows of one statement, within the caps; what is asked for can lower them, never raise them.

        A database that is paused, pending or gone is refused before the statement is even read. A read that
        was cut comes with a cursor to go on.
        """
        async with self._turns.turn(principal.workspace_id):
            target, approved = await self._admitted(principal, kind, tool, sql)
            found = await self._runner.run(target, approved, params, self._limits(target, asked))
            if found.truncated is None or tool != "query":
                return found
            return self._continuable(principal, found, Reading(target.database_id, kind, sql, params, asked))

    async def rehearse(
        self,
        principal: Principal,
        kind: Kind,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        asked: Asked = ALL,
    ) -> ResultSet:
        """What a statement for `execute` would do: it runs, is looked at, and is rolled back."""
        async with self._turns.turn(principal.workspace_id):
            target, approved = await self._admitted(principal, kind, "execute", sql)
            return await self._runner.rehearse(target, approved, params, self._limits(target, asked))

    async def resume(
        self,
        principal: Principal,
        kind: Kind,
        cursor: str,
        *,
        sql: str | None = None,
        params: Sequence[JsonValue] | None = None,
        asked: Asked = ALL,
    ) -> ResultSet:
        """The rows that follow, from the same statement on the same database, judged and admitted anew.

        Raises Missing("cursor_expired"), and Invalid for a database, a statement or parameters that are not
        the cursor's own; they need not be given.
        """
        async with self._turns.turn(principal.workspace_id):
            reading = self._cursors.find(principal, cursor)
            _refuse_another(reading, kind, sql, params)
            target, approved = await self._admitted(principal, kind, "query", reading.sql)
            if target.database_id != reading.database_id:
                raise expired()
            caps = self._limits(target, asked.over(reading.asked))
            found = await self._runner.resume(
                target, approved, reading.params, caps, pages=reading.pages, most_bytes=self._caps.bytes
            )
            return found if found.truncated is None else self._continuable(principal, found, reading)

    def _limits(self, target: Target, asked: Asked) -> Caps:
        """The server's caps, under the policy's ceiling of time, lowered by what is asked for."""
        ceiling = self._policies[target.policy].limits.statement_timeout_ms / 1_000
        return self._caps.within(ceiling).lowered(asked)

    async def _admitted(
        self, principal: Principal, kind: Kind, tool: Tool, sql: str
    ) -> tuple[Target, ApprovedSql]:
        target = await self._access.resolve(principal, kind)
        return target, await self._approve(sql, self._policies[target.policy], tool)

    async def _approve(self, sql: str, policy: Policy, tool: Tool) -> ApprovedSql:
        if len(sql) < LONG_STATEMENT:
            return self._guard.approve(sql, policy, tool)
        return await asyncio.to_thread(self._guard.approve, sql, policy, tool)

    def _continuable(self, principal: Principal, found: ResultSet, before: Reading) -> ResultSet:
        pages = (*before.pages, Page.of(found.columns, found.rows))
        return replace(found, next_cursor=self._cursors.keep(principal, replace(before, pages=pages)))


def _refuse_another(
    reading: Reading, kind: Kind, sql: str | None, params: Sequence[JsonValue] | None
) -> None:
    if kind is not reading.kind:
        raise Invalid(
            "bad_argument",
            f"This cursor goes on in the {reading.kind} database, not in {kind}.",
            f'Send it with database "{reading.kind}".',
        )
    if sql not in {None, reading.sql} or (params is not None and list(params) != list(reading.params)):
        raise Invalid(
            "bad_argument",
            "This cursor goes on with another statement or other params.",
            "Send it without sql and params.",
        )
