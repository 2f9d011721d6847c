"""What a database's tables look like at one time, and what is different at another."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal

TableKind = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]

KINDS: Final[Mapping[object, TableKind]] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
"""By `pg_class.relkind`."""

LONGEST_CHANGES: Final = 32_000
"""Characters of JSON up to which one version's changes are told in full."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All tables and views of a database. Equal marks mean equal shapes."""

    mark: str
    tables: str
    """As the catalogs gave them: a JSON array of [oid, schema, name, kind, digest, columns or null].

    A column is [number, name, type].
    """


NO_SHAPE: Final = Shape("", "[]")
"""Of a database nobody has looked at yet: as if it held nothing."""


@dataclass(frozen=True, slots=True)
class SeenSchema:
    """The latest version of a database's schema that somebody has seen."""

    version: int
    """Counts from 1; 0 before anybody looked."""
    mark: str


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One column that is no longer as it was."""

    name: str
    change: Literal["added", "dropped", "renamed", "retyped"]
    type: str
    was: str | None = None
    """The name or type before."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """One table or view that is no longer as it was.

    One that `changed` without `columns` has other keys, indexes, defaults, comments or the like.
    """

    schema: str
    name: str
    kind: TableKind
    change: Literal["added", "dropped", "renamed", "changed"]
    was: str | None = None
    """For one that was renamed or moved: `schema.name` before."""
    columns: tuple[ColumnChange, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionChanges:
    """What a version of a schema changed."""

    version: int
    seen_at: datetime
    tables: tuple[TableChange, ...] | None
    """None when it was too much to keep."""


@dataclass(frozen=True, slots=True)
class SchemaHistory:
    """What changed since a version of a schema."""

    since: int
    version: int
    """The present one."""
    changes: tuple[VersionChanges, ...]
    """In their order."""
    complete: bool
    """False when versions between are no longer remembered."""


def differences(before: Shape, after: Shape) -> tuple[TableChange, ...]:
    """What is different. Tables and columns are followed through renames."""
    old = {table[0]: table for table in json.loads(before.tables)}
    new = {table[0]: table for table in json.loads(after.tables)}
    gone = (_change(table, "dropped") for oid, table in old.items() if oid not in new)
    come = (_change(table, "added") for oid, table in new.items() if oid not in old)
    other = (
        _changed(old[oid], table) for oid, table in new.items() if oid in old and old[oid][4] != table[4]
    )
    return (*gone, *come, *other)


def encoded(changes: tuple[TableChange, ...]) -> str | None:
    """As JSON; None when it would be too long to keep."""
    text = json.dumps([asdict(change) for change in changes], ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= LONGEST_CHANGES else None


def decoded(text: str | None) -> tuple[TableChange, ...] | None:
    """The reverse."""
    if text is None:
        return None
    return tuple(_decoded(**change) for change in json.loads(text))


def _decoded(columns: list[dict[str, Any]], **change: Any) -> TableChange:
    return TableChange(**change, columns=tuple(ColumnChange(**column) for column in columns))


def _change(table: list[Any], change: Literal["added", "dropped"]) -> TableChange:
    return TableChange(table[1], table[2], KINDS[table[3]], change)


def _changed(old: list[Any], new: list[Any]) -> TableChange:
    moved = old[1:3] != new[1:3]
    return TableChange(
        new[1],
        new[2],
        KINDS[new[3]],
        "renamed" if moved else "changed",
        f"{old[1]}.{old[2]}" if moved else None,
        tuple(_column_changes(old[5] or [], new[5] or [])),
    )


def _column_changes(before: list[list[Any]], after: list[list[Any]]) -> Iterator[ColumnChange]:
    old = {number: (name, kind) for number, name, kind in before}
    new = {number: (name, kind) for number, name, kind in after}
    for number, (name, kind) in old.items():
        if number not in new:
            yield ColumnChange(name, "dropped", kind)
    for number, (name, kind) in new.items():
        if number not in old:
            yield ColumnChange(name, "added", kind)
            continue
        name_before, kind_before = old[number]
        if name != name_before:
            yield ColumnChange(name, "renamed", kind, name_before)
        if kind != kind_before:
            yield ColumnChange(name, "retyped", kind, kind_before)
