"""What a statement would cost, before it runs: told to whoever asks, and held to the policy's bound."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Denied, Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.guard import ApprovedSql, NameKind
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.plans import Pace, Plan, read_plan
from agentdb_mcp.core.results import Caps, JsonValue
from agentdb_mcp.execution.plans import PACE, PLANNING, WORK_MEMORY, pace
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.transactions import Transaction

_PLANNED: Final = frozenset(
    {"SELECT", "SELECT FOR UPDATE", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE TABLE AS"}
)
"""Commands that have a plan and are asked for it in their own words."""

_MOST_PACES: Final = 1_000
_MOST_CHEAP: Final = 1_000
_CHEAP: Final = 0.01
"""Of what is allowed: a statement this cheap is not asked again for a while."""

_WHILE: Final = 100
"""Times it then runs unasked. What it costs can change as tables grow."""

_DEFAULT_WORK_MEMORY: Final = 4 * 1024 * 1024


class Planner:
    """Asks PostgreSQL, within two seconds, and never runs the statement."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._paces: OrderedDict[DatabaseId, Pace] = OrderedDict()
        self._cheap: OrderedDict[tuple[DatabaseId, str], int] = OrderedDict()

    async def plan(self, target: Target, sql: ApprovedSql, params: Sequence[JsonValue]) -> tuple[Plan, Pace]:
        """The plan, and what its cost means in time on that server.

        Raises Invalid("bad_argument") for a statement that has no plan, and what `Runner.run` raises.
        """
        if not _has_plan(sql):
            raise Invalid(
                "bad_argument",
                "Only SELECT, INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS have a plan.",
                "Send such a statement itself, without EXPLAIN; what others would do a dry_run tells.",
            )
        measured = await self._pace(target)
        return await self._read(target, sql, params, measured.work_memory), measured

    async def weigh(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        most: int | None,
        within: Transaction | None = None,
    ) -> None:
        """Passes what costs no more than that, in the planner's units; None allows all.

        Raises Denied("plan_too_costly"). What PostgreSQL refuses to plan passes: running it will say why.
        """
        if most is None or not _has_plan(sql) or not _reaches_anything(sql):
            return
        key = (target.database_id, sql.text)
        if self._cheap.get(key, 0) > 0:
            self._cheap[key] -= 1
            return
        try:
            plan = await self._read(target, sql, params, _DEFAULT_WORK_MEMORY, within)
        except (SqlFailed, Invalid):
            return
        except Unavailable as error:
            if error.code != "query_timeout":
                raise
            raise _unplanned(target) from None
        if plan.cost > most:
            raise _too_costly(target, plan, most)
        if plan.cost < _CHEAP * most:
            self._cheap[key] = _WHILE
            if len(self._cheap) > _MOST_CHEAP:
                self._cheap.popitem(last=False)

    async def _read(
        self,
        target: Target,
        sql: ApprovedSql,
        params: Sequence[JsonValue],
        work_memory: int,
        within: Transaction | None = None,
    ) -> Plan:
        text = await self._runner.plan(target, sql, params, within)
        try:
            return read_plan(text, work_memory)
        except ValueError:
            raise Invalid(
                "result_too_large", "The plan is too large to be told.", "Split the statement."
            ) from None

    async def _pace(self, target: Target) -> Pace:
        """Measured once for each database, as the reader."""
        known = self._paces.get(target.database_id)
        if known is None:
            caps = Caps(seconds=PLANNING.seconds)
            measured = await self._runner.read(target, PACE, (), caps)
            memory = await self._runner.read(target, WORK_MEMORY, (), caps)
            known = pace(str(measured.rows[0][0]), int(str(memory.rows[0][0])))
            self._paces[target.database_id] = known
            if len(self._paces) > _MOST_PACES:
                self._paces.popitem(last=False)
        return known


def _has_plan(sql: ApprovedSql) -> bool:
    return any(command.top and command.name in _PLANNED for command in sql.facts.commands)


def _reaches_anything(sql: ApprovedSql) -> bool:
    """Without a table and without a function there is nothing to be long about."""
    return any(name.kind in {NameKind.RELATION, NameKind.FUNCTION} for name in sql.facts.names)


def _too_costly(target: Target, plan: Plan, most: int) -> Denied:
    why = f" It {plan.warnings[0]}." if plan.warnings else ""
    return Denied(
        "plan_too_costly",
        f"PostgreSQL expects this statement to cost {plan.cost:,.0f} units and to give {plan.rows:,} rows; "
        f"in the {target.kind} database a statement may cost {most:,}. It was not run.{why}",
        "Narrow it (WHERE, LIMIT, a join condition), add an index, or split the work: explain tells.",
    )


def _unplanned(target: Target) -> Denied:
    return Denied(
        "plan_too_costly",
        f"PostgreSQL could not even plan this statement within {PLANNING.seconds:g} s, and in the "
        f"{target.kind} database a statement's cost must be known. It was not run.",
        "Join fewer tables, or list fewer values.",
    )
