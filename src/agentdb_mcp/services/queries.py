"""An agent's statement, from the words it sent to the rows it gets."""

import asyncio
from collections.abc import Mapping, Sequence

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import ApprovedSql, Guard, Policy, Tool
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.fairness import Turns

LONG_STATEMENT = 4_096
"""Characters from which a statement is judged in a worker thread, so that other calls go on meanwhile."""


class QueryService:
    """A turn, access, guard, runner: in this order, each refusing on its own."""

    def __init__(
        self,
        turns: Turns,
        access: AccessService,
        guard: Guard,
        policies: Mapping[str, Policy],
        runner: Runner,
        caps: Caps,
    ) -> None:
        self._turns = turns
        self._access = access
        self._guard = guard
        self._policies = policies
        self._runner = runner
        self._caps = caps

    async def run(
        self,
        principal: Principal,
        kind: Kind,
        tool: Tool,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        max_rows: int | None = None,
    ) -> ResultSet:
        """The rows of one statement, within the caps; `max_rows` can lower them, never raise them.

        A database that is paused, pending or gone is refused before the statement is even read.
        """
        async with self._turns.turn(principal.workspace_id):
            target = await self._access.resolve(principal, kind)
            approved = await self._approve(sql, self._policies[target.policy], tool)
            return await self._runner.run(target, approved, params, self._caps.lowered(rows=max_rows))

    async def _approve(self, sql: str, policy: Policy, tool: Tool) -> ApprovedSql:
        if len(sql) < LONG_STATEMENT:
            return self._guard.approve(sql, policy, tool)
        return await asyncio.to_thread(self._guard.approve, sql, policy, tool)
