"""Where each statement begins: whether its caller reaches the database, and whether the guard lets it."""

import asyncio
from collections.abc import Mapping
from typing import Final

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import ApprovedSql, Guard, Policy, Tool
from agentdb_mcp.core.results import Asked, Caps
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Entry, Trail

LONG_STATEMENT: Final = 4_096
"""Characters from which a statement is judged in a worker thread, so that other calls go on meanwhile."""


class Admission:
    """Access, then the guard, each refusing on its own; and the limits that hold for what is admitted."""

    def __init__(
        self, access: AccessService, guard: Guard, policies: Mapping[str, Policy], caps: Caps, trail: Trail
    ) -> None:
        self._access = access
        self._guard = guard
        self._policies = policies
        self.caps = caps
        """The server's own."""
        self._trail = trail

    def recorded(self, principal: Principal, kind: Kind, tool: str, sql: str | None) -> Entry:
        """A statement's record in the audit trail, to be entered before anything can be refused."""
        return self._trail.call(principal, kind, tool, sql)

    async def admit(
        self, principal: Principal, kind: Kind, tool: Tool, sql: str, entry: Entry
    ) -> tuple[Target, ApprovedSql]:
        """The database and the statement to run on it.

        A database that is paused, pending or gone is refused before the statement is even read.
        """
        target = await self._access.resolve(principal, kind)
        entry.reached(target)
        approved = await self._approve(sql, self._policies[target.policy], tool)
        await entry.judged(approved)
        return target, approved

    def limits(self, target: Target, asked: Asked) -> Caps:
        """The server's caps, under the policy's ceiling of time, lowered by what is asked for."""
        ceiling = self._policies[target.policy].limits.statement_timeout_ms / 1_000
        return self.caps.within(ceiling).within(asked.seconds).lowered(asked)

    async def _approve(self, sql: str, policy: Policy, tool: Tool) -> ApprovedSql:
        if len(sql) < LONG_STATEMENT:
            return self._guard.approve(sql, policy, tool)
        return await asyncio.to_thread(self._guard.approve, sql, policy, tool)
