"""A few rows of each table a rehearsed change touched, before it and after it.

A row version carries the transaction that made it (xmin) and the one that replaced, deleted or locked it
(xmax); both stay legible when that transaction is undone (manual, section "System Columns"). So the rows
after a change are found within it by their xmin, and those before it, once it is rolled back, by their
xmax: without a second connection, and without keys. What a routine changed inside an EXCEPTION block has a
transaction of its own and is not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, LiteralString, cast

import asyncpg

from agentdb_mcp.core.changes import Sample, Touched
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.execution.asking import ask
from agentdb_mcp.execution.session import Session

_Rows = tuple[tuple[str | None, ...], ...]

_MOST_TABLES: Final = 5
_MOST_COLUMNS: Final = 30
_MOST_LOCKED: Final = 1_000

_HURRY: Final[LiteralString] = "SET LOCAL statement_timeout = '1s'"
"""For each look: nothing but a scan finds such rows. A change at the end of a huge table has no sample."""

_WHO: Final[LiteralString] = "SELECT pg_catalog.pg_current_xact_id_if_assigned()::xid::text"

_COLUMNS: Final[LiteralString] = """
SELECT attname FROM pg_catalog.pg_attribute
 WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT $2::int
"""


@dataclass(frozen=True, slots=True)
class _Look:
    """At one table."""

    touched: Touched
    place: LiteralString
    columns: tuple[str, ...]
    after: _Rows
    locked: tuple[str, ...]
    """Row versions that the change locked and left as they were, which carry its xmax as well."""


class Samples:
    """Begun within the change, completed once it is undone."""

    def __init__(self, touched: Sequence[Touched], transaction: str, looks: Sequence[_Look]) -> None:
        self._touched = touched
        self._transaction = transaction
        self._looks = looks

    @classmethod
    async def after(cls, session: Session, touched: Sequence[Touched]) -> "Samples":
        """What can be seen in a short time; the transaction may be good for nothing but its end then."""
        ((transaction,),) = await ask(session, _WHO)
        looks = list[_Look]()
        try:
            await session.execute(_HURRY)
            for each in touched[: _MOST_TABLES if transaction else 0]:
                looks.append(await _look(session, each, str(transaction)))
        except asyncpg.PostgresError:
            pass
        return cls(touched, str(transaction), looks)

    async def completed(self, session: Session) -> tuple[Touched, ...]:
        """The tables, with their samples as far as there are any."""
        samples = dict[Touched, Sample]()
        if self._looks:
            await session.begin("READ ONLY")
            try:
                await session.execute(_HURRY)
                for look in self._looks:
                    before = await _before(session, look, self._transaction)
                    if before or look.after:
                        samples[look.touched] = Sample(look.columns, before, look.after)
            except asyncpg.PostgresError:
                pass
            await session.roll_back()
        return tuple(replace(each, sample=samples.get(each)) for each in self._touched)


async def _look(session: Session, touched: Touched, transaction: str) -> _Look:
    place = f"{quote_identifier(touched.schema)}.{quote_identifier(touched.table)}"
    found = await ask(session, _COLUMNS, [place, _MOST_COLUMNS])
    columns = tuple(str(name) for (name,) in found)
    made = f"SELECT {_cells(columns)} FROM ONLY {place} AS t WHERE t.xmin = $1::xid LIMIT 5"
    after = await ask(session, made, [transaction], keep=False)
    locked = (
        f"SELECT t.ctid::text FROM ONLY {place} AS t"
        " WHERE t.xmax = $1::xid AND t.xmin <> $1::xid LIMIT $2::int"
    )
    rows = await ask(session, locked, [transaction, _MOST_LOCKED + 1], keep=False)
    return _Look(touched, place, columns, cast("_Rows", after), tuple(str(ctid) for (ctid,) in rows))


async def _before(session: Session, look: _Look, transaction: str) -> _Rows:
    if not (look.touched.updated or look.touched.deleted) or len(look.locked) > _MOST_LOCKED:
        return ()
    gone = (
        f"SELECT {_cells(look.columns)} FROM ONLY {look.place} AS t"
        " WHERE t.xmax = $1::xid AND t.ctid <> ALL ($2::tid[]) LIMIT 5"
    )
    locked = ",".join(f'"{each}"' for each in look.locked)
    return cast("_Rows", await ask(session, gone, [transaction, f"{{{locked}}}"], keep=False))


def _cells(columns: Sequence[str]) -> LiteralString:
    return ", ".join(
        f"pg_catalog.left(t.{quote_identifier(name)}::text, 80) AS {quote_identifier(name)}"
        for name in columns
    )
