"""An agent's change, from the words it sent to what came of it."""

from collections.abc import Sequence

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.changes import Key, Outcome, Statement, text_of
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Denied, Invalid
from agentdb_mcp.core.guard import Tool
from agentdb_mcp.core.results import ALL, Asked
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.transactions import Transaction
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

    async def change(
        self,
        principal: Principal,
        kind: Kind,
        tool: Tool,
        statements: Sequence[Statement],
        *,
        key: str | None = None,
        dry_run: bool = False,
        asked: Asked = ALL,
        transaction: str | None = None,
    ) -> Outcome:
        """What the statements did, all of them; or nothing was done, and the error says at which.

        With a key it is done once, however often it is asked for. A dry run is undone and uses no key up.
        """
        once = None if key is None else _key(principal, key, tool, statements, transaction)
        act = f"{tool} dry_run" if dry_run else tool
        recorded = self._admission.recorded(principal, kind, act, text_of(statements))
        async with (
            recorded as entry,
            self._turns.turn(principal.workspace_id, asked.seconds),
            self._transactions.use(principal, kind, transaction) as within,
        ):
            target, approved = await self._admission.admit_all(principal, kind, tool, statements, entry)
            steps = [Step(sql, each.params) for sql, each in zip(approved, statements, strict=True)]
            caps = self._admission.limits(target, asked)
            await self._weigh(target, steps, within)
            if dry_run:
                return entry.changed(await self._runner.rehearse(target, steps, caps, within))
            if once is not None:
                return entry.changed(await self._runner.change_once(target, steps, caps, once))
            return entry.changed(await self._runner.change(target, steps, caps, within))

    async def _weigh(self, target: Target, steps: Sequence[Step], within: Transaction | None) -> None:
        for number, step in enumerate(steps, 1):
            try:
                await self._admission.weigh(target, step.sql, step.params, within)
            except Denied as error:
                error.statement = number if len(steps) > 1 else None
                raise


def _key(
    principal: Principal, text: str, tool: Tool, statements: Sequence[Statement], transaction: str | None
) -> Key:
    if transaction is not None:
        raise no_key_in_transaction("Send the statements in one call, as statements, with the key.")
    return Key.of(principal.workspace_id, text, tool, statements)


def no_key_in_transaction(instead: str) -> Invalid:
    """What is said of a key inside of a transaction, and what to do instead."""
    return Invalid(
        "bad_argument",
        "A call in a transaction takes no idempotency_key: only its commit makes the change.",
        instead,
    )
