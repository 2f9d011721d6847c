"""Whether a destructive statement runs: by the operator's rule, and by the word of a person who can be asked.

The model never confirms anything: a yes comes from the client's own dialogue with its user, is bound to the
exact act, and is asked for before a turn is taken, so that nothing waits while a person thinks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Touched, text_of
from agentdb_mcp.core.consent import Agreement, Person, Question, Rule, Unconfirmed, lost_rows
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.guard import Access, ApprovedSql, Extent, Loss, NameKind, StatementClass, calls_own
from agentdb_mcp.execution.catalog import Catalog
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
    digest: str = ""
    can_be_asked: bool = False

    def exceeded(self, touched: Sequence[Touched]) -> Denied:
        """What to say of an act that was rolled back because it changed more rows."""
        rows, most = lost_rows(touched), self.rows or 0
        if not self.can_be_asked:
            return _too_many(rows, most)
        text = about_rows(self.act, touched, most)
        return Unconfirmed(Question(self.act.kind, text, Agreement(self.digest, rows)))


class Confirmation:
    """Stands before the services that change something."""

    def __init__(
        self, admission: Admission, catalog: Catalog, turns: Turns, rule: Rule, *, most_rows: int
    ) -> None:
        self._admission = admission
        self._catalog = catalog
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
            target, parts = await self._admission.admit_all(
                act.principal, act.kind, act.tool, act.statements, entry
            )
            digest = act.digest(target)
            agreed = person.agreed if person.agreed is not None and person.agreed.act == digest else None
            losses = [loss for approved in parts for loss in _certain(approved)]
            if not losses:
                counted = any(map(_may_overwrite, parts))
                return Permit(act, self._bound(agreed) if counted else None, digest, person.can_be_asked)
            if agreed is not None:
                return Permit(act)
            if not person.can_be_asked:
                raise _nobody_to_ask(losses)
            stakes = await self._stakes(target, losses)
        raise Unconfirmed(Question(act.kind, about_losses(act, losses, stakes), Agreement(digest)))

    def _bound(self, agreed: Agreement | None) -> int:
        if agreed is None or agreed.rows is None:
            return self._most_rows
        return agreed.rows + agreed.rows // _TENTH

    async def _stakes(self, target: Target, losses: Sequence[Loss]) -> Stakes:
        """The tables that each loss reaches, as far as the question names them."""
        reached = {loss: name for loss in losses if (name := _table(loss)) is not None}
        named = dict(islice(reached.items(), MOST_LINES))
        found = await self._catalog.stakes(target, list(named.values())) if named else []
        return dict(zip(named, found, strict=True))


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
    """Whether its run may change rows that are there, by itself or in functions that it does not show."""
    commands = {command.name for command in approved.facts.commands}
    if approved.statement_class is StatementClass.DDL:
        return bool(commands & _RUNS_QUERIES) or ("ALTER TABLE" in commands and calls_own(approved.facts))
    return approved.statement_class is not StatementClass.MAINTENANCE and not _only_adds(approved)


def _only_adds(approved: ApprovedSql) -> bool:
    """An INSERT of values: what it reads, a view for instance, and what it calls may do anything."""
    facts = approved.facts
    is_insert = {command.name for command in facts.commands} == {"INSERT"}
    reads = any(name.kind is NameKind.RELATION and name.access is Access.READ for name in facts.names)
    return is_insert and not (reads or facts.losses or calls_own(facts))


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
