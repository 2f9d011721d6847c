"""An agent's read, from the words it sent to the rows it gets."""

from collections.abc import Sequence
from dataclasses import replace

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Denied, Invalid, SqlFailed
from agentdb_mcp.core.guard import ApprovedSql, keyset_of
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.plans import Pace, Plan
from agentdb_mcp.core.results import ALL, Asked, Caps, JsonValue, ResultSet
from agentdb_mcp.execution.paging import changed
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.admission import LONG_STATEMENT, Admission
from agentdb_mcp.services.cursors import Cursors, Reading, expired
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.transactions import Transactions


class QueryService:
    """A turn, admission, the runner: in this order, each refusing on its own."""

    def __init__(
        self, admission: Admission, runner: Runner, turns: Turns, cursors: Cursors, transactions: Transactions
    ) -> None:
        self._admission = admission
        self._runner = runner
        self._turns = turns
        self._transactions = transactions
        self._cursors = cursors

    async def run(
        self,
        principal: Principal,
        kind: Kind,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        asked: Asked = ALL,
        transaction: str | None = None,
    ) -> ResultSet:
        """The rows of one statement, within the caps; what is asked for can lower them, never raise them.

        A read that was cut comes with a cursor to go on.
        """
        recorded = self._admission.recorded(principal, kind, "query", sql)
        async with (
            recorded as entry,
            self._turns.turn(principal.workspace_id, asked.seconds),
            self._transactions.use(principal, kind, transaction) as within,
        ):
            target, approved = await self._admission.admit(principal, kind, "query", sql, entry)
            limits = self._admission.limits(target, asked)
            await self._admission.weigh(target, approved, params, within)
            found = entry.done(await self._runner.run(target, approved, params, limits, within))
            if found.truncated is None or within is not None:
                return found
            before = Reading(target.database_id, kind, sql, params, asked, estimate=found.estimate)
            return self._continuable(principal, found, before)

    async def explain(
        self, principal: Principal, kind: Kind, sql: str, params: Sequence[JsonValue] = ()
    ) -> tuple[Plan, Pace]:
        """What PostgreSQL would do for a statement of any tool, and what that costs; nothing is run."""
        recorded = self._admission.recorded(principal, kind, "explain", sql)
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target, approved = await self._admission.admit(principal, kind, None, sql, entry)
            return await self._admission.planner.plan(target, approved, params)

    async def resume(
        self,
        principal: Principal,
        kind: Kind,
        cursor: str,
        *,
        sql: str | None = None,
        params: Sequence[JsonValue] | None = None,
        asked: Asked = ALL,
    ) -> ResultSet:
        """The rows that follow, from the same statement on the same database, judged and admitted anew.

        Raises Missing("cursor_expired"), and Invalid for a database, a statement or parameters that are not
        the cursor's own; they need not be given.
        """
        recorded = self._admission.recorded(principal, kind, "query cursor", sql)
        async with recorded as entry, self._turns.turn(principal.workspace_id, asked.seconds):
            reading = self._cursors.find(principal, cursor)
            _refuse_another(reading, kind, sql, params)
            entry.sql = reading.sql
            target, approved = await self._admission.admit(principal, kind, "query", reading.sql, entry)
            if target.database_id != reading.database_id:
                raise expired()
            caps = self._admission.limits(target, asked.over(reading.asked))
            found = await self._sought(target, reading, caps)
            if found is None:
                found = await self._again(target, approved, reading, caps)
            found = entry.done(found.after(reading.given, reading.estimate))
            return found if found.truncated is None else self._continuable(principal, found, reading)

    async def _sought(self, target: Target, reading: Reading, caps: Caps) -> ResultSet | None:
        """The rows behind the last one, where the order is that of a key.

        What stands in the way of that may not stand in the way of the statement itself, and what is said of
        it would be said of a statement the agent never sent.
        """
        place = reading.place
        if place is None:
            return None
        try:
            sql = place.keyset.following(len(reading.params), caps.rows + 1)
            params: list[JsonValue] = [*reading.params, *place.keys]
            approved = await self._admission.approve(target, "query", sql)
            found = await self._runner.seek(target, approved, params, caps, place.keyset)
        except (Denied, Invalid, SqlFailed):
            return None
        return found if found is not None and found.columns == place.columns else None

    async def _again(self, target: Target, sql: ApprovedSql, reading: Reading, caps: Caps) -> ResultSet:
        """The rows behind those that were given, which are given and compared once more."""
        if not reading.pages:
            raise changed()
        most_bytes = self._admission.caps.bytes
        return await self._runner.resume(
            target, sql, reading.params, caps, pages=reading.pages, most_bytes=most_bytes
        )

    def _continuable(self, principal: Principal, found: ResultSet, before: Reading) -> ResultSet:
        keyset = keyset_of(before.sql) if len(before.sql) < LONG_STATEMENT else None
        place = Place.behind(keyset, found) if keyset is not None else None
        return replace(found, next_cursor=self._cursors.keep(principal, before.after(found, place)))


def _refuse_another(
    reading: Reading, kind: Kind, sql: str | None, params: Sequence[JsonValue] | None
) -> None:
    if kind is not reading.kind:
        raise Invalid(
            "bad_argument",
            f"This cursor goes on in the {reading.kind} database, not in {kind}.",
            f'Send it with database "{reading.kind}".',
        )
    if sql not in {None, reading.sql} or (params is not None and list(params) != list(reading.params)):
        raise Invalid(
            "bad_argument",
            "This cursor goes on with another statement or other params.",
            "Send it without sql and params.",
        )
