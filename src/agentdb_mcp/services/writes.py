"""An agent's change, from the words it sent to what came of it."""

from collections.abc import Sequence

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import Tool
from agentdb_mcp.core.results import ALL, Asked, JsonValue, ResultSet
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.fairness import Turns


class WriteService:
    """A turn, admission, the runner: in this order, each refusing on its own."""

    def __init__(self, admission: Admission, runner: Runner, turns: Turns) -> None:
        self._admission = admission
        self._runner = runner
        self._turns = turns

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
        """What one statement changed, committed; its rows within the caps."""
        async with self._turns.turn(principal.workspace_id, asked.seconds):
            target, approved = await self._admission.admit(principal, kind, tool, sql)
            return await self._runner.run(target, approved, params, self._admission.limits(target, asked))

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
        async with self._turns.turn(principal.workspace_id, asked.seconds):
            target, approved = await self._admission.admit(principal, kind, "execute", sql)
            return await self._runner.rehearse(
                target, approved, params, self._admission.limits(target, asked)
            )
