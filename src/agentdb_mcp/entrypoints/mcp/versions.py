"""Schema versions as a model reads them: a number in each answer, words only when it moved."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.shapes import ColumnChange, SchemaHistory, TableChange, VersionChanges
from agentdb_mcp.entrypoints.mcp.render import ToolAnswer, data_block, lines, name_text, one_line
from agentdb_mcp.entrypoints.mcp.tables import without_nothing


class SchemaNews:
    """What a model was told of schema versions: one that it knows, or made itself, costs it no words."""

    def __init__(self) -> None:
        self._told: dict[Kind, int] = {}

    def made(self, kind: Kind, version: int | None) -> None:
        """The version after a change of the model's own, which is no news unless others changed more."""
        if version is not None and self._told.get(kind, version - 1) == version - 1:
            self._told[kind] = version

    def told(self, kind: Kind, answer: ToolAnswer, version: int | None) -> ToolAnswer:
        """The answer with the schema version; in words when it is another than the last one."""
        if version is None:
            return answer
        structured = {**answer.structured, "schema_version": version}
        before, self._told[kind] = self._told.get(kind, version), version
        if before == version:
            return replace(answer, structured=structured)
        moved = f"schema version {version}, was {before}: list_tables with since={before} tells what changed"
        return replace(answer, text=lines(answer.text, moved), structured=structured)


def changed(kind: Kind, found: SchemaHistory) -> ToolAnswer:
    """The answer of `list_tables` to `since`."""
    text = [line for version in found.changes for line in _version(version)]
    head = (
        f"{kind}: schema {found.since} to {found.version}"
        if text
        else f"{kind}: no change since {found.since}"
    )
    lost = "" if found.complete else "What changed before is no longer known: list the tables instead."
    return ToolAnswer(
        lines(head, data_block(text), lost),
        {
            "database": str(kind),
            "since": found.since,
            "changes": [_typed(version) for version in found.changes],
            "more": not found.complete,
        },
    )


def _typed(version: VersionChanges) -> dict[str, Any]:
    told = {} if version.tables is None else {"tables": [without_nothing(each) for each in version.tables]}
    return {"version": version.version, "seen_at": version.seen_at.isoformat(timespec="seconds"), **told}


def _version(version: VersionChanges) -> Iterator[str]:
    if version.tables is None:
        yield f"{version.version}: too much to tell"
        return
    yield from (one_line(f"{version.version}: {_table(table)}") for table in version.tables)


def _table(table: TableChange) -> str:
    name = f"{name_text(table.schema)}.{name_text(table.name)}"
    was = f" from {table.was}" if table.was else ""
    columns = "; ".join(map(_column, table.columns))
    return f"{table.kind} {name} {table.change}{was}" + (f": {columns}" if columns else "")


def _column(column: ColumnChange) -> str:
    was = f" from {column.was}" if column.was else ""
    return f"{name_text(column.name)} {column.type} {column.change}{was}"
