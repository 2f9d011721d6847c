"""Bulk loading: rows of JSON into one table through COPY, all of them or none (docs/adr/0019).

Binary where each value's form is known here, so that what is wrong is told row by row before anything is
sent; else as text, which PostgreSQL reads itself.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import asyncpg

from agentdb_mcp.core.changes import Key
from agentdb_mcp.core.errors import AgentDbError, SqlFailed
from agentdb_mcp.core.guard import ApprovedSql
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.results import Caps, ResultSet
from agentdb_mcp.execution.atomic import Atomic
from agentdb_mcp.execution.failures import LOST, raised_apart, translated
from agentdb_mcp.execution.keyed import Keyed
from agentdb_mcp.execution.rows import Rows, encoded
from agentdb_mcp.execution.session import Session

_CHUNK: Final = 256 * 1024
"""Bytes sent before what the server says is heard."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows go: names as the catalog has them."""

    schema: str
    table: str
    columns: tuple[str, ...]

    def insertion(self) -> str:
        """The statement that a load stands for: what the guard judges and PostgreSQL describes."""
        columns = ", ".join(map(quote_identifier, self.columns))
        values = ", ".join(f"${number}" for number in range(1, len(self.columns) + 1))
        table = f"{quote_identifier(self.schema)}.{quote_identifier(self.table)}"
        return f"INSERT INTO {table} ({columns}) VALUES ({values})"


class Load(Atomic):
    """Rows for an approved insertion, in one transaction with the look at the columns' types."""

    def __init__(self, sql: ApprovedSql, place: Place, rows: Rows, caps: Caps) -> None:
        super().__init__((), caps)
        self._sql = sql
        self._place = place
        self._rows = rows

    async def _run_each(self, session: Session) -> tuple[ResultSet, ...]:
        return await copied(session, self._sql, self._place, self._rows)


class KeyedLoad(Keyed):
    """A load that is made once for its key."""

    def __init__(self, sql: ApprovedSql, place: Place, rows: Rows, caps: Caps, key: Key) -> None:
        super().__init__((), caps, key)
        self._sql = sql
        self._place = place
        self._rows = rows

    async def _run_each(self, session: Session) -> tuple[ResultSet, ...]:
        return await copied(session, self._sql, self._place, self._rows)


async def copied(session: Session, sql: ApprovedSql, place: Place, rows: Rows) -> tuple[ResultSet, ...]:
    """Copies the rows in the transaction that is open. Raises Invalid and SqlFailed, and what is in LOST."""
    try:
        prepared = await session.prepare_text(sql.text, keep=False)
        types = [session.type_of(oid) for oid in prepared.parameters]
        form, data = await asyncio.to_thread(encoded, rows, place.columns, prepared.parameters, types)
        session.sent = True
        with raised_apart():
            await session.copy_to_table(
                place.table,
                schema_name=place.schema,
                columns=place.columns,
                source=_stream(data),
                format=form,
            )
    except LOST:
        raise
    except asyncpg.PostgresError as error:
        raise _located(error, place) from None
    return (ResultSet((), (), f"COPY {len(rows)}", affected=len(rows)),)


async def _stream(data: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


def _located(error: asyncpg.PostgresError, place: Place) -> AgentDbError:
    """What PostgreSQL refuses, with the row and the column where it says them."""
    said = translated(error)
    if isinstance(said, SqlFailed):
        columns = "|".join(re.escape(name) for name in sorted(place.columns, key=len, reverse=True))
        context = re.compile(
            rf"^COPY {re.escape(place.table)}, line ([0-9]+)(?:, column ({columns}))?", re.MULTILINE
        )
        found = context.search(said.context.pop("where", ""))
        if found is not None:
            said.context["row"] = found[1]
        if found is not None and found[2]:
            said.context["column"] = found[2]
        said.hint = f"{said.hint} Nothing was loaded.".strip()
    return said
