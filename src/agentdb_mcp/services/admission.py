"""Where each statement begins: whether its caller reaches the database, and may run it there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.changes import Statement
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.guard import TOOLS, ApprovedSql, Guard, Policy, StatementClass, Tool, tool_of
from agentdb_mcp.core.results import Asked, Caps, JsonValue
from agentdb_mcp.execution.transactions import Transaction
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Entry, Trail
from agentdb_mcp.services.plans import Planner

LONG_STATEMENT: Final = 4_096
"""Characters from which a statement is judged in a worker thread, so that other calls go on meanwhile."""

T = TypeVar("T", Tool, Tool | None)

_CLASSES: Final = list(StatementClass)
"""From the harmless on."""


class Admission:
    """Access, the guard, the plan: each refuses on its own. And the limits that hold for what is admitted."""

    def __init__(
        self,
        access: AccessService,
        guard: Guard,
        policies: Mapping[str, Policy],
        caps: Caps,
        *,
        trail: Trail,
        planner: Planner,
    ) -> None:
        self._access = access
        self._guard = guard
        self._policies = policies
        self.planner = planner
        self.caps = caps
        """The server's own."""
        self._trail = trail

    def recorded(self, principal: Principal, kind: Kind, tool: str, sql: str | None) -> Entry:
        """A statement's record in the audit trail, to be entered before anything can be refused."""
        return self._trail.call(principal, kind, tool, sql)

    async def reach(self, principal: Principal, kind: Kind, entry: Entry) -> Target:
        """The database, for a call that brings no statement of its own."""
        return entry.reached(await self._access.resolve(principal, kind))

    async def admit(
        self, principal: Principal, kind: Kind, tool: Tool | None, sql: str, entry: Entry
    ) -> tuple[Target, ApprovedSql]:
        """The database and the statement to run on it.

        A database that is paused, pending or gone is refused before the statement is even read.
        """
        target = await self.reach(principal, kind, entry)
        approved = await self.approve(target, tool, sql)
        await entry.judged(approved)
        return target, approved

    async def admit_all(
        self, principal: Principal, kind: Kind, tool: Tool, statements: Sequence[Statement], entry: Entry
    ) -> tuple[Target, list[ApprovedSql]]:
        """The same for the statements of one call, which are all judged before the first runs.

        Beside what its tool takes, a call of several may read, and one that changes the schema may change
        rows. An error names its statement.
        """
        if len(statements) == 1:
            target, approved = await self.admit(principal, kind, tool, statements[0].sql, entry)
            return target, [approved]
        target = await self.reach(principal, kind, entry)
        policy, parts = self._policies[target.policy], list[ApprovedSql]()
        for number, each in enumerate(statements, 1):
            try:
                parts.append(await _aside(self._approve_part, each.sql, policy, tool))
            except AgentDbError as error:
                error.statement = number
                raise
        await entry.judged(max(parts, key=lambda part: _CLASSES.index(part.statement_class)))
        return target, parts

    async def weigh(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        within: Transaction | None = None,
    ) -> None:
        """Passes a statement whose plan costs no more than the policy allows, if it says anything of that.

        Raises Denied("plan_too_costly").
        """
        most = self._policies[target.policy].limits.max_plan_cost
        await self.planner.weigh(target, sql, params, most, within)

    def limits(self, target: Target, asked: Asked) -> Caps:
        """The server's caps, under the policy's ceiling of time, lowered by what is asked for."""
        ceiling = self._policies[target.policy].limits.statement_timeout_ms / 1_000
        return self.caps.within(ceiling).within(asked.seconds).lowered(asked)

    async def approve(self, target: Target, tool: Tool | None, sql: str) -> ApprovedSql:
        """The statement, judged by the policy of the database."""
        return await _aside(self._guard.approve, sql, self._policies[target.policy], tool)

    def _approve_part(self, sql: str, policy: Policy, tool: Tool) -> ApprovedSql:
        """For the call's tool, or for the lesser one that the statement belongs to."""
        verdict = self._guard.inspect(sql, policy, tool)
        own = tool_of(verdict.statement_class)
        lesser = own is not None and TOOLS.index(own) < TOOLS.index(tool)
        return self._guard.approve(sql, policy, own if lesser and not verdict.allowed else tool)


async def _aside(
    approve: Callable[[str, Policy, T], ApprovedSql], sql: str, policy: Policy, tool: T
) -> ApprovedSql:
    if len(sql) < LONG_STATEMENT:
        return approve(sql, policy, tool)
    return await asyncio.to_thread(approve, sql, policy, tool)
