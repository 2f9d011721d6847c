"""A change that is made, looked at and taken back."""

from collections.abc import Mapping
from typing import Final, LiteralString, cast

import asyncpg

from agentdb_mcp.core.changes import Outcome, Touched
from agentdb_mcp.core.errors import SqlFailed
from agentdb_mcp.execution.asking import ask
from agentdb_mcp.execution.atomic import Atomic, at_commit
from agentdb_mcp.execution.failures import LOST
from agentdb_mcp.execution.samples import Samples
from agentdb_mcp.execution.session import Session

_Counts = Mapping[tuple[str, str], tuple[int, int, int]]

_TOUCHED: Final[LiteralString] = """
SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
ORDER BY schemaname, relname
"""
"""Counts of this transaction and of those before it that the session has not reported yet (manual, section
"The Cumulative Statistics System"); none are reported while a transaction is open."""

_NONE: Final = (0, 0, 0)

_CHECK_NOW: Final[LiteralString] = "SET CONSTRAINTS ALL IMMEDIATE"
"""What is deferred would otherwise be checked at a commit that does not come."""


class Rehearsal(Atomic):
    """A change in a transaction that is rolled back, whatever comes of it."""

    async def _transaction(self, session: Session) -> Outcome:
        try:
            return await super()._transaction(session)
        except SqlFailed as error:
            error.context["dry_run"] = "the change would fail like this; nothing of it was kept"
            raise

    async def _within(self, session: Session) -> Outcome:
        before = await _counts(session)
        results = await self._run_steps(session)
        await _check_deferred(session)
        touched = _difference(before, await _counts(session))
        samples = await Samples.after(session, touched)
        await session.roll_back()
        return Outcome(results, await samples.completed(session))


async def _check_deferred(session: Session) -> None:
    try:
        await session.execute(_CHECK_NOW)
    except LOST:
        raise
    except asyncpg.PostgresError as error:
        raise at_commit(error) from None


async def _counts(session: Session) -> _Counts:
    rows = cast("list[tuple[str, str, int, int, int]]", await ask(session, _TOUCHED))
    return {
        (schema, table): (inserted, updated, deleted) for schema, table, inserted, updated, deleted in rows
    }


def _difference(before: _Counts, after: _Counts) -> tuple[Touched, ...]:
    counted = [
        (name, [now - then for now, then in zip(counts, before.get(name, _NONE), strict=True)])
        for name, counts in after.items()
    ]
    return tuple(
        Touched(schema, table, inserted, updated, deleted)
        for (schema, table), (inserted, updated, deleted) in counted
        if inserted or updated or deleted
    )
