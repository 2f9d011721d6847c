"""Whether a destructive statement runs: by the operator's rule, and by the word of a person who can be asked.

The model never confirms anything: a yes comes from the client's own dialogue with its user, is bound to the
exact act, and is asked for before a turn is taken, so that nothing waits while a person thinks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Outcome, Touched, text_of
from agentdb_mcp.core.consent import Agreement, Person, Question, Rule, Unconfirmed, lost_rows
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.guard import TOOLS, ApprovedSql, Extent, Loss, StatementClass, calls_own
from agentdb_mcp.core.results import ALL
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.audit import Entry
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.questions import MOST_LINES, Act, Stakes, about_losses, about_rows, visible

_OF_TABLES: Final = frozenset({"DROP TABLE", "DROP MATERIALIZED VIEW"})
_OF_COLUMNS: Final = frozenset({"DROP COLUMN", "ALTER COLUMN TYPE USING"})


_RUNS_QUERIES: Final = frozenset(
    {"CREATE TABLE AS", "SELECT INTO", "CREATE MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW"}
)
"""What defines something and runs a query for it."""

_TENTH: Final = 10
"""An agreement to so many rows is good for a tenth more: rows come and go while a person thinks."""


@dataclass(frozen=True, slots=True)
class Permit:
    """That an act may go on, and how far."""

    act: Act
    rows: int | None = None
    """Rows that it may update and delete; None is any."""
    target: Target | None = None
    """Where rows are counted."""
    can_be_asked: bool = False
    made: Outcome | None = None
    """What an earlier call with its key did: that is the answer, and nothing is to be run."""

    def exceeded(self, touched: Sequence[Touched]) -> Denied:
        """What to say of an act that was rolled back because it changed more rows."""
        rows, most = lost_rows(touched), self.rows or 0
        if self.target is None or not self.can_be_asked:
            return _too_many(rows, most)
        agreement = Agreement(self.act.digest(self.target), rows)
        return Unconfirmed(Question(self.act.kind, about_rows(self.act, touched, most), agreement))


class Confirmation:
    """Stands before the services that change something."""

    def __init__(
        self,
        admission: Admission,
        catalog: Catalog,
        runner: Runner,
        turns: Turns,
        *,
        rule: Rule,
        most_rows: int,
    ) -> None:
        self._admission = admission
        self._catalog = catalog
        self._runner = runner
        self._turns = turns
        self._rule: Final = rule
        self._most_rows = most_rows

    async def require(self, act: Act, person: Person) -> Permit:
        """Lets pass what destroys nothing, what may destroy unasked, and what the person agreed to.

        Raises Unconfirmed with the question where there is somebody to ask, Denied("not_confirmed") where
        there is nobody and the rule says so, and what admission raises.
        """
        if self._rule == "allow" or (self._rule == "ask-or-allow" and not person.can_be_asked):
            return Permit(act)
        recorded = self._admission.recorded(act.principal, act.kind, act.tool, text_of(act.statements))
        recorded.only_refusals = True
        async with recorded as entry:
            return await self._consider(act, person, entry)

    async def _consider(self, act: Act, person: Person, entry: Entry) -> Permit:
        async with self._turns.turn(act.principal.workspace_id):
            if act.tool not in TOOLS:  # by itself it destroys nothing
                return self._counted(act, await self._admission.reach(act.principal, act.kind, entry), person)
            target, parts = await self._admission.admit_all(
                act.principal, act.kind, act.tool, act.statements, entry
            )
            losses = [loss for approved in parts for loss in _certain(approved)]
            if not losses:
                counted = any(map(_may_overwrite, parts))
                return self._counted(act, target, person) if counted else Permit(act)
            if _agreed(act, target, person) is not None:
                return Permit(act)
            made = await self._made(act, target)
            if made is not None:
                entry.only_refusals = False
                return Permit(act, made=entry.changed(made))
            if not person.can_be_asked:
                raise _nobody_to_ask(losses)
            stakes = await self._stakes(target, losses)
        agreement = Agreement(act.digest(target))
        raise Unconfirmed(Question(act.kind, about_losses(act, losses, stakes), agreement))

    def _counted(self, act: Act, target: Target, person: Person) -> Permit:
        """As many rows as pass unasked, or as the person agreed to."""
        agreed = _agreed(act, target, person)
        rows = self._most_rows
        if agreed is not None and agreed.rows is not None:
            rows = agreed.rows + agreed.rows // _TENTH
        return Permit(act, rows, target, person.can_be_asked)

    async def _made(self, act: Act, target: Target) -> Outcome | None:
        """What a call before with the same key did: nobody need be asked about that again."""
        if act.key is None:
            return None
        return await self._runner.recall(target, self._admission.limits(target, ALL), act.key)

    async def _stakes(self, target: Target, losses: Sequence[Loss]) -> Stakes:
        """The tables that each loss reaches, as far as the question names them."""
        reached = {loss: name for loss in losses if (name := _table(loss)) is not None}
        named = dict(islice(reached.items(), MOST_LINES))
        found = await self._catalog.stakes(target, list(named.values())) if named else []
        return dict(zip(named, found, strict=True))


def _agreed(act: Act, target: Target, person: Person) -> Agreement | None:
    agreed = person.agreed
    return agreed if agreed is not None and agreed.act == act.digest(target) else None


def _table(loss: Loss) -> tuple[str | None, str | None] | None:
    """Schema and name of the table; no name where it is a whole schema, nothing where it is no table."""
    if loss.act == "DROP SCHEMA":
        return loss.path[-1], None
    path = loss.path[:-1] if loss.act in _OF_COLUMNS else loss.path
    if not path or (loss.extent is Extent.THING and loss.act not in _OF_TABLES | _OF_COLUMNS):
        return None
    *schema, name = path
    return (schema[-1] if schema else None), name


def _certain(approved: ApprovedSql) -> list[Loss]:
    return [loss for loss in approved.facts.losses if loss.extent is not Extent.SOME]


def _may_overwrite(approved: ApprovedSql) -> bool:
    """Whether its run may change rows that are there, by itself or in functions and triggers."""
    commands = {command.name for command in approved.facts.commands}
    if approved.statement_class is StatementClass.DDL:
        return bool(commands & _RUNS_QUERIES) or ("ALTER TABLE" in commands and calls_own(approved.facts))
    return approved.statement_class is not StatementClass.MAINTENANCE


def _too_many(rows: int, most: int) -> Denied:
    return Denied(
        "not_confirmed",
        f"It changes {rows:,} rows. More than {most:,} need a person's confirmation, and this client cannot "
        "ask for one: nothing was kept.",
        "Change fewer rows at once, or let the user run it where a client can ask.",
    )


def _nobody_to_ask(losses: Sequence[Loss]) -> Denied:
    first = losses[0]
    return Denied(
        "not_confirmed",
        f"{first.act} of {visible('.'.join(first.path))} needs a person's confirmation, and this client "
        "cannot ask for one: nothing was run.",
        "Change fewer rows, with a WHERE that names a column, or let the user run it where a client can ask.",
    )
