"""An agent's change, from the words it sent to what came of it."""

from collections.abc import Sequence

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import Tool
from agentdb_mcp.core.results import ALL, Asked, JsonValue, ResultSet
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.transactions import Transactions


class WriteService:
    """A turn, admission, the runner: in this order, each refusing on its own."""

    def __init__(
        self, admission: Admission, runner: Runner, turns: Turns, transactions: Transactions
    ) -> None:
        self._admission = admission
        self._runner = runner
        self._turns = turns
        self._transactions = transactions

    async def run(
        self,
        principal: Principal,
        kind: Kind,
        tool: Tool,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        asked: Asked = ALL,
        transaction: str | None = None,
    ) -> ResultSet:
        """What one statement changed, committed; its rows within the caps."""
        recorded = self._admission.recorded(principal, kind, tool, sql)
        async with (
            recorded as entry,
            self._turns.turn(principal.workspace_id, asked.seconds),
            self._transactions.use(principal, kind, transaction) as within,
        ):
            target, approved = await self._admission.admit(principal, kind, tool, sql, entry)
            limits = self._admission.limits(target, asked)
            return entry.done(await self._runner.run(target, approved, params, limits, within))

    async def rehearse(
        self,
        principal: Principal,
        kind: Kind,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        asked: Asked = ALL,
        transaction: str | None = None,
    ) -> ResultSet:
        """What a statement for `execute` would do: it runs, is looked at, and is rolled back."""
        recorded = self._admission.recorded(principal, kind, "execute dry_run", sql)
        async with (
            recorded as entry,
            self._turns.turn(principal.workspace_id, asked.seconds),
            self._transactions.use(principal, kind, transaction) as within,
        ):
            target, approved = await self._admission.admit(principal, kind, "execute", sql, entry)
            limits = self._admission.limits(target, asked)
            return entry.done(await self._runner.rehearse(target, approved, params, limits, within))
