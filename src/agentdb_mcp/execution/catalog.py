"""The schema of an agent's database, read as its reader role."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, LiteralString, cast

from agentdb_mcp import assets
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, Missing
from agentdb_mcp.core.results import Caps, Cell, JsonValue
from agentdb_mcp.core.schema import (
    ColumnDescription,
    DatabaseFacts,
    Definition,
    Extension,
    ForeignKey,
    Key,
    Partitioning,
    Stake,
    TableDescription,
    TableList,
    TableSummary,
)
from agentdb_mcp.core.shapes import KINDS
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner

MOST_TABLES: Final = 500
"""Tables in one list."""

_MOST_NAMES: Final = 2_000
_CAPS: Final = Caps(rows=_MOST_NAMES, bytes=8_000_000, seconds=15.0)

_FILE: Final = Path(__file__).with_name("catalog.sql")


class Catalog:
    """Answers what is in a database; its statements are in catalog.sql."""

    def __init__(self, pools: Pools) -> None:
        self._runner = Runner(pools)

    async def list_tables(
        self, target: Target, *, schema: str | None = None, pattern: str | None = None
    ) -> TableList:
        """The tables and views the agent can read, narrowed to a schema or to names LIKE the pattern."""
        rows = await self._read(target, "list_tables", schema, pattern, MOST_TABLES + 1)
        return TableList(tuple(_summary(row) for row in rows[:MOST_TABLES]), more=len(rows) > MOST_TABLES)

    async def describe_table(
        self, target: Target, table: str, *, schema: str | None = None
    ) -> TableDescription:
        """One table or view in full; `table` may be `schema.name`.

        Raises Missing("table_not_found") with the nearest names as its hint, and Invalid("bad_argument") for
        a name that several schemas have while none of them is on the search path.
        """
        found = await self._read(target, "find_table", table, schema)
        if not found:
            raise await self._missing(target, table, schema)
        (oid, first, visible), *others = found
        if others and not visible:
            raise Invalid(
                "bad_argument",
                f'Several schemas have a table "{table}".',
                f"Say which one in `schema`, e.g. {first} or {others[0][1]}.",
            )
        rows = await self._read(target, "describe_table", oid)
        if not rows:
            raise await self._missing(target, table, schema)
        return _description(rows[0])

    async def stakes(
        self, target: Target, names: Sequence[tuple[str | None, str | None]]
    ) -> list[tuple[Stake, ...]]:
        """For each schema and name the table of that name; all tables of the schema where the name is None.

        Without a schema it is the one the search path finds. What is not there has none.
        """
        schemas, tables = [schema for schema, _ in names], [table for _, table in names]
        found: list[list[Stake]] = [[] for _ in names]
        for place, schema, name, rows in await self._read(target, "stakes", schemas, tables):
            estimated = None if rows is None else int(cast("int", rows))
            found[int(cast("int", place)) - 1].append(Stake(str(schema), str(name), estimated))
        return [tuple(tables) for tables in found]

    async def database_facts(self, target: Target) -> DatabaseFacts:
        """PostgreSQL's version, the size, the extensions."""
        ((version, size, extensions),) = await self._read(target, "database_facts")
        return DatabaseFacts(
            version=str(version),
            bytes=int(cast("int", size)),
            extensions=tuple(Extension(*extension) for extension in _items(extensions)),
        )

    async def _read(self, target: Target, name: str, *params: Any) -> tuple[tuple[Cell, ...], ...]:
        found = await self._runner.read(target, _query(name), cast("tuple[JsonValue, ...]", params), _CAPS)
        if found.truncated == "bytes":
            raise Invalid("result_too_large", "The description is larger than a result may be.")
        return found.rows

    async def _missing(self, target: Target, table: str, schema: str | None) -> Missing:
        readable = [f"{row[0]}.{row[1]}" for row in await self._read(target, "readable_names", _MOST_NAMES)]
        where = f' in schema "{schema}"' if schema else ""
        near = _nearest(table, readable)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Ask list_tables for the names there are."
        return Missing("table_not_found", f'There is no table or view "{table}"{where}.', hint)


def _nearest(table: str, readable: list[str]) -> list[str]:
    """Up to three names like it, by the last part of the name, whatever their case."""
    wanted = table.lower().rpartition(".")[2]
    by_name: dict[str, list[str]] = {}
    for name in readable:
        by_name.setdefault(name.lower().partition(".")[2], []).append(name)
    close = difflib.get_close_matches(wanted, by_name, n=3, cutoff=0.6)
    return [name for match in close for name in by_name[match]][:3]


def _summary(row: tuple[Cell, ...]) -> TableSummary:
    schema, name, kind, estimated_rows, size, comment = row
    return TableSummary(
        schema=str(schema),
        name=str(name),
        kind=KINDS[kind],
        estimated_rows=None if estimated_rows is None else int(cast("int", estimated_rows)),
        bytes=None if size is None else int(cast("int", size)),
        comment=None if comment is None else str(comment),
    )


def _description(row: tuple[Cell, ...]) -> TableDescription:
    columns, primary, unique, checks, foreign, referenced, indexes, triggers = (
        _items(cell) for cell in row[6:14]
    )
    view, key, partitions, parent, bound = row[14:]
    partitioning = Partitioning(
        key=_text(key), partitions=_definitions(_items(partitions)), parent=_text(parent), bound=_text(bound)
    )
    return TableDescription(
        summary=_summary(row[:6]),
        columns=tuple(ColumnDescription(*column) for column in columns),
        primary_key=next(iter(_keys(primary)), None),
        unique_keys=_keys(unique),
        checks=_definitions(checks),
        foreign_keys=_foreign_keys(foreign),
        referenced_by=_foreign_keys(referenced),
        indexes=_definitions(indexes),
        triggers=_definitions(triggers),
        view_definition=_text(view),
        partitioning=partitioning if key or parent else None,
    )


def _items(cell: Cell) -> list[list[Any]]:
    return json.loads(str(cell)) if cell is not None else []


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)


def _keys(items: list[list[Any]]) -> tuple[Key, ...]:
    return tuple(Key(name, tuple(columns)) for name, columns in items)


def _definitions(items: list[list[Any]]) -> tuple[Definition, ...]:
    return tuple(Definition(name, definition) for name, definition in items)


def _foreign_keys(items: list[list[Any]]) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(name, tuple(columns), schema, table, tuple(other_columns), on_delete, on_update)
        for name, columns, schema, table, other_columns, on_delete, on_update in items
    )


def _query(name: str) -> LiteralString:
    return assets.statements(_FILE)[name]
