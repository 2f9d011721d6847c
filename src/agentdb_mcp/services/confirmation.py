"""Whether a destructive statement runs: by the operator's rule, and by the word of a person who can be asked.

The model never confirms anything: a yes comes from the client's own dialogue with its user, is bound to the
exact act, and is asked for before a turn is taken, so that nothing waits while a person thinks.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import text_of
from agentdb_mcp.core.consent import Agreement, Person, Question, Rule, Unconfirmed
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.guard import ApprovedSql, Extent, Loss
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.audit import Entry
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.questions import MOST_LINES, Act, Stakes, about_losses, visible

_OF_TABLES: Final = frozenset({"DROP TABLE", "DROP MATERIALIZED VIEW"})
_OF_COLUMNS: Final = frozenset({"DROP COLUMN", "ALTER COLUMN TYPE USING"})


class Confirmation:
    """Stands before the services that change something."""

    def __init__(self, admission: Admission, catalog: Catalog, turns: Turns, rule: Rule) -> None:
        self._admission = admission
        self._catalog = catalog
        self._turns = turns
        self._rule: Final = rule

    async def require(self, act: Act, person: Person) -> None:
        """Passes what destroys nothing, what may destroy unasked, and what the person agreed to.

        Raises Unconfirmed with the question where there is somebody to ask, Denied("not_confirmed") where
        there is nobody and the rule says so, and what admission raises.
        """
        if self._rule == "allow" or (self._rule == "ask-or-allow" and not person.can_be_asked):
            return
        recorded = self._admission.recorded(act.principal, act.kind, act.tool, text_of(act.statements))
        recorded.only_refusals = True
        async with recorded as entry:
            await self._consider(act, person, entry)

    async def _consider(self, act: Act, person: Person, entry: Entry) -> None:
        async with self._turns.turn(act.principal.workspace_id):
            target, parts = await self._admission.admit_all(
                act.principal, act.kind, act.tool, act.statements, entry
            )
            losses = [loss for approved in parts for loss in _certain(approved)]
            if not losses:
                return
            if not person.can_be_asked:
                raise _nobody_to_ask(losses)
            agreement = Agreement(act.digest(target))
            if person.agreed == agreement:
                return
            stakes = await self._stakes(target, losses)
        text = about_losses(act, losses, stakes)
        raise Unconfirmed(Question(act.kind, text, agreement))

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


def _nobody_to_ask(losses: Sequence[Loss]) -> Denied:
    first = losses[0]
    return Denied(
        "not_confirmed",
        f"{first.act} of {visible('.'.join(first.path))} needs a person's confirmation, and this client "
        "cannot ask for one: nothing was run.",
        "Change fewer rows, with a WHERE that names a column, or let the user run it where a client can ask.",
    )
