"""The schema of an agent's database, read as its reader role."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, LiteralString, cast

from agentdb_mcp import assets
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, Missing
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.results import Caps, Cell, JsonValue
from agentdb_mcp.core.schema import (
    ColumnDescription,
    DatabaseFacts,
    Definition,
    Extension,
    ForeignKey,
    Key,
    Listing,
    Partitioning,
    Stake,
    TableDescription,
    TableList,
    TableSummary,
)
from agentdb_mcp.core.shapes import KINDS
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner

MOST_TABLES: Final = 200
"""Tables in one list."""

MOST_FOUND: Final = 50
"""Tables that one search finds."""

MOST_WORDS: Final = 10
"""Words of a search that are looked at."""

MOST_SAMPLES: Final = 5
LONGEST_SAMPLE: Final = 80
"""Characters of a sample value; the statement below asks for one more, to see which were cut."""

MOST_NAMES: Final = 100
"""Names of one completion."""

_MOST_SCHEMAS: Final = 20
"""Named where one was not found."""

_MOST_NAMES: Final = 2_000
_CAPS: Final = Caps(rows=_MOST_NAMES, bytes=8_000_000, seconds=15.0)
_SAMPLE_CAPS: Final = Caps(rows=MOST_SAMPLES, bytes=4_000_000, seconds=5.0)

_FILE: Final = Path(__file__).with_name("catalog.sql")


class Catalog:
    """Answers what is in a database; its statements are in catalog.sql."""

    def __init__(self, pools: Pools) -> None:
        self._runner = Runner(pools)

    async def list_tables(self, target: Target, asked: Listing) -> TableList:
        """The tables and views the agent can read that were asked for, by name or best match first.

        Raises Invalid("bad_argument") for a search that names no word or that is to go on, and for a schema
        that there is not.
        """
        words = None if asked.search is None else _words(asked)
        after = asked.after if asked.after is None or "." in asked.after else f"public.{asked.after}"
        most = MOST_TABLES if words is None else MOST_FOUND
        rows = await self._read(target, "list_tables", asked.schema, asked.pattern, after, words, most + 1)
        if not rows and asked.schema is not None:
            await self._check_schema(target, asked.schema)
        tables = tuple(replace(_summary(row[:6]), found_in=tuple(_items(row[6]))) for row in rows[:most])
        more = len(rows) > most
        last = f"{tables[-1].schema}.{tables[-1].name}" if more and words is None else None
        return TableList(tables, more, last)

    async def describe_table(
        self, target: Target, table: str, *, schema: str | None = None, samples: int = 0
    ) -> TableDescription:
        """One table or view in full; `table` may be `schema.name`; so many values of each column.

        Raises Missing("table_not_found") with the nearest names as its hint, and Invalid("bad_argument") for
        a name that several schemas have while none of them is on the search path.
        """
        found = await self._read(target, "find_table", table, schema)
        if not found:
            raise await self.missing(target, table, schema)
        (oid, first, visible), *others = found
        if others and not visible:
            raise Invalid(
                "bad_argument",
                f'Several schemas have a table "{table}".',
                f"Say which one in `schema`, e.g. {first} or {others[0][1]}.",
            )
        rows = await self._read(target, "describe_table", oid)
        if not rows:
            raise await self.missing(target, table, schema)
        described = _description(rows[0])
        if samples <= 0:
            return described
        return await self._with_samples(target, described, min(samples, MOST_SAMPLES))

    async def schema_names(self, target: Target, begun: str) -> tuple[str, ...]:
        """Schemas that hold tables and whose names begin so: `MOST_NAMES`, and one more if there are more."""
        return await self._names(target, begun, None, schemas=True)

    async def table_names(self, target: Target, begun: str, *, schema: str | None = None) -> tuple[str, ...]:
        """The same of tables and views, of one schema when it is given."""
        return await self._names(target, begun, schema, schemas=False)

    async def _check_schema(self, target: Target, name: str) -> None:
        schemas = [str(schema) for (schema,) in await self._read(target, "schemas")]
        if name not in schemas:
            some = ", ".join(map(quote_identifier, schemas[:_MOST_SCHEMAS]))
            more = f" and {len(schemas) - _MOST_SCHEMAS} more" if len(schemas) > _MOST_SCHEMAS else ""
            raise Invalid(
                "bad_argument", f'There is no schema "{name[:80]}" here.', f"There are: {some}{more}."
            )

    async def _names(
        self, target: Target, begun: str, schema: str | None, *, schemas: bool
    ) -> tuple[str, ...]:
        rows = await self._read(target, "names", begun, schemas, schema, MOST_NAMES + 1)
        return tuple(str(name) for (name,) in rows)

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

    async def _with_samples(self, target: Target, table: TableDescription, count: int) -> TableDescription:
        """Values of the first rows that come, read by the reader like everything, within their own caps."""
        if not table.columns:
            return table
        cells = ", ".join(f"left({quote_identifier(column.name)}::text, 81)" for column in table.columns)
        where = f"{quote_identifier(table.summary.schema)}.{quote_identifier(table.summary.name)}"
        rows = (
            await self._runner.read(target, f"SELECT {cells} FROM {where} LIMIT $1", (count,), _SAMPLE_CAPS)
        ).rows
        values = zip(*rows, strict=True) if rows else ((),) * len(table.columns)
        columns = (
            replace(column, samples=tuple(dict.fromkeys(map(_sample, filter(_is_there, cells)))))
            for column, cells in zip(table.columns, values, strict=True)
        )
        return replace(table, columns=tuple(columns))

    async def _read(self, target: Target, name: str, *params: Any) -> tuple[tuple[Cell, ...], ...]:
        found = await self._runner.read(target, _query(name), cast("tuple[JsonValue, ...]", params), _CAPS)
        if found.truncated == "bytes":
            raise Invalid("result_too_large", "The description is larger than a result may be.")
        return found.rows

    async def missing(self, target: Target, table: str, schema: str | None = None) -> Missing:
        """What to say of a name that no table has, with those that are like it."""
        readable = [f"{row[0]}.{row[1]}" for row in await self._read(target, "readable_names", _MOST_NAMES)]
        where = f' in schema "{schema}"' if schema else ""
        near = _nearest(table, readable)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Ask list_tables for the names there are."
        return Missing("table_not_found", f'There is no table or view "{table}"{where}.', hint)


def _words(asked: Listing) -> list[str]:
    words = (asked.search or "").lower().split()[:MOST_WORDS]
    if not words:
        raise Invalid("bad_argument", "search names no word.", "List the tables without it.")
    if asked.after is not None:
        raise Invalid(
            "bad_argument",
            f"A search gives its {MOST_FOUND} best matches; after does not go with it.",
            "Search for more words, or within a schema.",
        )
    return words


def _sample(cell: Cell) -> str:
    text = str(cell)
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}…"


def _is_there(cell: Cell) -> bool:
    return cell is not None


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
    row_security, policies, inherits, heirs, view, key, partitions, parent, bound = row[14:]
    partitioning = Partitioning(
        key=_text(key), partitions=_definitions(_items(partitions)), parent=_text(parent), bound=_text(bound)
    )
    return TableDescription(
        summary=_summary(row[:6]),
        columns=tuple(map(_column, columns)),
        primary_key=next(iter(_keys(primary)), None),
        unique_keys=_keys(unique),
        checks=_definitions(checks),
        foreign_keys=_foreign_keys(foreign),
        referenced_by=_foreign_keys(referenced),
        indexes=_definitions(indexes),
        triggers=_definitions(triggers),
        row_security=cast("Literal['enabled', 'forced'] | None", row_security),
        policies=_definitions(_items(policies)),
        inherits=tuple(_items(inherits)),
        inherited_by=tuple(_items(heirs)),
        view_definition=_text(view),
        partitioning=partitioning if key or parent else None,
    )


def _column(item: list[Any]) -> ColumnDescription:
    return ColumnDescription(*item[:7], values=tuple(item[7] or ()))


def _items(cell: Cell) -> list[Any]:
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
