"""A change that is made, looked at and taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, LiteralString, cast

import asyncpg

from agentdb_mcp.core.results import Caps, JsonValue, ResultSet, Touched
from agentdb_mcp.execution.calls import Call
from agentdb_mcp.execution.session import MOST_BYTES, Answer, Prepared, Session

_Counts = Mapping[tuple[str, str], tuple[int, int, int]]

_TOUCHED: Final[LiteralString] = """
SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
ORDER BY schemaname, relname
"""
"""Counts of this transaction and of those before it that the session has not reported yet (manual, section
"The Cumulative Statistics System"); none are reported while a transaction is open."""

_CHECK_NOW: Final[LiteralString] = "SET CONSTRAINTS ALL IMMEDIATE"
"""What is deferred would otherwise be checked at a commit that does not come."""


class Rehearsal(Call):
    """One changing statement in a transaction that is rolled back, whatever comes of it."""

    def __init__(self, text: str, params: Sequence[JsonValue], caps: Caps) -> None:
        super().__init__(text, params, caps, reads=False, keep=True)
        self.lasts = False
        self._touched: tuple[Touched, ...] = ()

    async def _prepare_and_execute(self, session: Session) -> tuple[Prepared, Answer]:
        await session.begin("READ WRITE")
        try:
            before = await _counts(session)
            made = await super()._prepare_and_execute(session)
            await session.execute(_CHECK_NOW)
            self._touched = _difference(before, await _counts(session))
        except asyncpg.PostgresError:
            await session.roll_back()
            raise
        await session.roll_back()
        return made

    def _result(self, prepared: Prepared, answer: Answer, session: Session) -> ResultSet:
        return replace(super()._result(prepared, answer, session), touched=self._touched)


async def _counts(session: Session) -> _Counts:
    # The statement's allowance is none of ours: what is left of it decides how its rows are cut.
    allowance, session.meter.left = session.meter.left, MOST_BYTES
    rows = cast("list[tuple[str, str, int, int, int]]", await session.fetch(_TOUCHED))
    session.meter.left = allowance
    return {
        (schema, table): (inserted, updated, deleted) for schema, table, inserted, updated, deleted in rows
    }


def _difference(before: _Counts, after: _Counts) -> tuple[Touched, ...]:
    none = (0, 0, 0)
    counted = (
        Touched(*name, *(now - then for now, then in zip(counts, before.get(name, none), strict=True)))
        for name, counts in after.items()
    )
    return tuple(each for each in counted if each.inserted or each.updated or each.deleted)
