"""Tables as a model reads them: a line each in a list, a line for each part of one in a description.

Names, comments and definitions come from whoever made them: each stays on its line, between the marks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from pydantic_core import to_json

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import GRAMMAR_MAJOR
from agentdb_mcp.core.schema import (
    Budget,
    ColumnDescription,
    DatabaseFacts,
    Extension,
    ForeignKey,
    Key,
    Limits,
    Partitioning,
    TableDescription,
    TableList,
    TableSummary,
)
from agentdb_mcp.entrypoints.mcp.render import (
    ToolAnswer,
    clipped,
    counted,
    data_block,
    lines,
    name_text,
    one_line,
)

_USUAL_SCHEMA: Final = "public"
_LONGEST_COMMENT: Final = 200
"""Characters of a comment in a list; a description shows all of it."""

_MOST_FOUND: Final = 8
"""Columns named of a table that a search found."""

_NO_ACTION: Final = "NO ACTION"


def listed(kind: Kind, found: TableList) -> ToolAnswer:
    """The answer of `list_tables`."""
    further = "search for more words" if found.last is None else "go on with after = the last name"
    more = f"There are more: narrow the list, or {further}." if found.more else ""
    next_page = {} if found.last is None else {"after": found.last}
    return ToolAnswer(
        lines(
            f"{kind}: {counted(len(found.tables), 'table')}",
            data_block([_summary_line(table) for table in found.tables]),
            more,
        ),
        {
            "database": str(kind),
            "tables": [without_nothing(table) for table in found.tables],
            "more": found.more,
            **next_page,
        },
    )


def described(kind: Kind, found: TableDescription) -> ToolAnswer:
    """The answer of `describe_table`."""
    body = without_nothing(found)
    return ToolAnswer(
        lines(f"{kind}: 1 {found.summary.kind}", data_block(list(_description(found)))),
        {"database": str(kind), "table": {**body.pop("summary"), **body}},
    )


def informed(kind: Kind, facts: DatabaseFacts, limits: Limits, budget: Budget | None = None) -> ToolAnswer:
    """The answer of `database_info`."""
    extensions = [_extension(extension) for extension in facts.extensions]
    return ToolAnswer(
        lines(
            f"{kind}: PostgreSQL {facts.version}, {_size(facts.bytes)}",
            f"limits: {counted(limits.max_rows)}, {_size(limits.max_result_bytes)} and "
            f"{limits.max_result_tokens:,} tokens an answer, {limits.max_cell_chars:,} characters a cell, "
            f"{limits.statement_timeout_seconds:g} s a statement, {limits.max_concurrent} calls at once",
            *_spent(budget),
            *_newer_than_the_guard(facts.version),
            data_block(extensions),
        ),
        {"database": str(kind), **asdict(facts), "limits": asdict(limits), "budget": _budget(budget)},
    )


def _spent(budget: Budget | None) -> list[str]:
    if budget is None:
        return []
    of = "" if budget.limit_cents is None else f" of {budget.limit_cents / 100:.2f}"
    over = ", exceeded" if budget.exceeded else ""
    return [
        f"budget: {budget.spent_cents / 100:.2f}{of} USD spent as of {budget.as_of:%Y-%m-%d %H:%M} UTC{over}"
    ]


def _budget(budget: Budget | None) -> dict[str, Any] | None:
    return None if budget is None else {**asdict(budget), "as_of": budget.as_of.isoformat()}


def _newer_than_the_guard(version: str) -> list[str]:
    """A server may know syntax that the guard's grammar does not, and that is therefore refused."""
    if int(version.partition(".")[0]) <= GRAMMAR_MAJOR:
        return []
    return [f"SQL is read as PostgreSQL {GRAMMAR_MAJOR} reads it: syntax that is newer is refused"]


def _extension(extension: Extension) -> str:
    return one_line(
        f"extension {name_text(extension.name)} {extension.version} in {name_text(extension.schema)}"
    )


def _summary_line(table: TableSummary) -> str:
    comment = clipped(table.comment, _LONGEST_COMMENT)
    found = [f"found in {', '.join(map(name_text, table.found_in[:_MOST_FOUND]))}"] if table.found_in else []
    return ", ".join(
        [_qualified(table.schema, table.name), table.kind, *_measures(table), *_quoted(comment), *found]
    )


def _description(found: TableDescription) -> Iterator[str]:
    yield ", ".join([_qualified(found.summary.schema, found.summary.name), *_measures(found.summary)])
    yield from _quoted(found.summary.comment)
    yield from (_column(column) for column in found.columns)
    keys = {key.name for key in (found.primary_key, *found.unique_keys) if key is not None}
    if found.primary_key is not None:
        yield _key("primary key", found.primary_key)
    yield from (_key("unique", key) for key in found.unique_keys)
    yield from (one_line(f"check {check.name}: {check.definition}") for check in found.checks)
    yield from (_reference("foreign key", key) for key in found.foreign_keys)
    yield from (_reference("referenced by", key) for key in found.referenced_by)
    yield from (one_line(f"index {index.definition}") for index in found.indexes if index.name not in keys)
    yield from (one_line(f"trigger {trigger.definition}") for trigger in found.triggers)
    if found.row_security is not None:
        yield f"row security {found.row_security}"
    yield from (
        one_line(f"policy {name_text(policy.name)}: {policy.definition}") for policy in found.policies
    )
    yield from (one_line(f"inherits {name}") for name in found.inherits)
    yield from (one_line(f"inherited by {name}") for name in found.inherited_by)
    if found.partitioning is not None:
        yield from _partitions(found.partitioning)
    if found.view_definition is not None:
        yield f"defined as {to_json(found.view_definition).decode()}"


def _column(column: ColumnDescription) -> str:
    parts = [name_text(column.name), column.type]
    if not column.nullable:
        parts.append("not null")
    if column.default is not None:
        parts.append(f"default {column.default}")
    if column.identity is not None:
        parts.append(f"identity {column.identity}")
    if column.generated is not None:
        parts.append(f"generated as {column.generated}")
    if column.values:
        parts.append(f"one of {to_json(column.values).decode()}")
    if column.samples:
        parts.append(f"e.g. {to_json(column.samples).decode()}")
    return ", ".join([one_line(" ".join(parts)), *_quoted(column.comment)])


def _key(kind: str, key: Key) -> str:
    return f"{kind} {_columns(key.columns)}"


def _reference(kind: str, key: ForeignKey) -> str:
    other = f"{_qualified(key.other_schema, key.other_table)} {_columns(key.other_columns)}"
    arrow = (
        f"{_columns(key.columns)} -> {other}"
        if kind == "foreign key"
        else f"{other} -> {_columns(key.columns)}"
    )
    on_delete = "" if key.on_delete == _NO_ACTION else f" on delete {key.on_delete.lower()}"
    on_update = "" if key.on_update == _NO_ACTION else f" on update {key.on_update.lower()}"
    return f"{kind} {arrow}{on_delete}{on_update}"


def _partitions(partitioning: Partitioning) -> Iterator[str]:
    if partitioning.key is not None:
        yield one_line(f"partitioned by {partitioning.key}")
    yield from (one_line(f"partition {part.name} {part.definition}") for part in partitioning.partitions)
    if partitioning.parent is not None:
        yield one_line(f"partition of {partitioning.parent} {partitioning.bound}")


def _measures(table: TableSummary) -> Iterator[str]:
    if table.estimated_rows is not None:
        yield f"~{counted(table.estimated_rows)}"
    if table.bytes is not None:
        yield _size(table.bytes)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.3g} {unit}"
        count /= 1_000
    return f"{count:.3g} TB"


def _qualified(schema: str, name: str) -> str:
    return name_text(name) if schema == _USUAL_SCHEMA else f"{name_text(schema)}.{name_text(name)}"


def _columns(names: Sequence[str]) -> str:
    return f"({', '.join(map(name_text, names))})"


def _quoted(comment: str | None) -> list[str]:
    return [] if comment is None else [to_json(comment).decode()]


def without_nothing(value: Any) -> dict[str, Any]:
    """The fields that say something: no None, no empty list."""
    return asdict(
        value, dict_factory=lambda pairs: {name: item for name, item in pairs if item not in (None, ())}
    )
