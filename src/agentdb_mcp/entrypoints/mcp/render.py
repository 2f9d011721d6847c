"""Answers as a model reads them, in short text, and the same in typed form."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic_core import to_json

from agentdb_mcp.core.changes import Outcome, Touched
from agentdb_mcp.core.consent import Question, Unconfirmed
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError, SqlFailed
from agentdb_mcp.core.invisible import written
from agentdb_mcp.core.results import Cell, CutText, ResultSet
from agentdb_mcp.entrypoints.wording import as_told
from agentdb_mcp.services.loading import Loaded
from agentdb_mcp.services.transactions import Begun

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")

_LONGEST_ERROR: Final = 2_000
"""Characters of one field of an error: PostgreSQL repeats whole literals in its messages."""

_LONGEST_NOTICE: Final = 500
_MOST_NOTICES: Final = 20

_THEIRS: Final = (
    *("message", "detail", "postgres_hint", "where"),
    *("schema", "table", "column", "constraint", "datatype"),
)
"""What PostgreSQL says of a statement that it refused, and functions say through it (RAISE)."""

_REPLAYED: Final = "An earlier call with this idempotency_key made this; now nothing was changed."

_WHY: Final = {"rows": "at the row limit", "bytes": "by their size", "tokens": "at the token limit"}


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool call gives back, whether it went well or not: for the model to read, and for programs."""

    text: str
    structured: dict[str, Any]
    is_error: bool = False
    question: Question | None = None
    """What to ask the user before the call is repeated; without that, the answer is a refusal."""


def rows(kind: Kind, found: ResultSet) -> ToolAnswer:
    """What `query` found."""
    note = _go_on(found) if found.truncated else ""
    return ToolAnswer(
        lines(f"{kind}: {_extent(found)}", data_block(_table(found)), note),
        {"database": str(kind), **_typed(found), **_totals(found), **_cursor(found)},
    )


def changed(kind: Kind, outcome: Outcome, *, dry_run: bool) -> ToolAnswer:
    """What `execute` changed, and the rows it returned when it was asked to."""
    counts = [each.affected for each in outcome.results if each.affected is not None]
    body: dict[str, Any] = {"affected": sum(counts) if counts else None}
    if len(outcome.results) == 1:
        body |= _returned(outcome.results[0])
    return _made(kind, outcome, body, dry_run=dry_run)


def defined(kind: Kind, outcome: Outcome, *, dry_run: bool) -> ToolAnswer:
    """What `execute_ddl` did."""
    body: dict[str, Any] = {"command": "; ".join(each.command for each in outcome.results)}
    if len(outcome.results) == 1:
        body |= _notices(outcome.results[0])
    return _made(kind, outcome, body, dry_run=dry_run)


def _made(kind: Kind, outcome: Outcome, body: dict[str, Any], *, dry_run: bool) -> ToolAnswer:
    several = len(outcome.results) > 1
    head, *rest = (
        _said_of_several(outcome, dry_run=dry_run) if several else _said(outcome.results[0], dry_run)
    )
    parts = [
        f"{kind}: {'dry run, undone: ' if dry_run else ''}{head}",
        _REPLAYED * outcome.replayed,
        data_block([line for each in outcome.touched for line in _touched(each)]),
        *rest,
    ]
    if several:
        body["results"] = [
            {"command": each.command, "affected": each.affected, **_returned(each)}
            for each in outcome.results
        ]
    if outcome.replayed:
        body["replayed"] = True
    if dry_run:
        body |= {"dry_run": True, "touched": [_touched_form(each) for each in outcome.touched]}
    return ToolAnswer(lines(*parts), {"database": str(kind), **body})


def _said_of_several(outcome: Outcome, *, dry_run: bool) -> list[str]:
    rest: list[str] = []
    for number, each in enumerate(outcome.results, 1):
        head, *more = _said(each, dry_run)
        rest += [f"{number}: {head}", *more]
    return [f"{len(outcome.results)} statements{'' if dry_run else ', all done'}", *rest]


def _said(made: ResultSet, dry_run: bool) -> list[str]:
    """What one statement did, in lines and blocks."""
    would = "would be affected" if dry_run else "affected"
    head = (
        made.command or f"{counted(len(made.rows))} and more"
        if made.affected is None
        else f"{counted(made.affected)} {would}"
    )
    first = f"first {counted(len(made.rows)).removeprefix('1 ')} of what it"
    note = (
        f"Only the {first} would return stand here."
        if dry_run
        else f"All changes were made; only the {first} returned stand here."
    )
    return [head, data_block(_table(made)), note if made.truncated else ""]


def begun(kind: Kind, made: Begun) -> ToolAnswer:
    """A transaction's handle, and how long it is good for."""
    note = (
        f"After {made.seconds} s, or {made.idle_seconds} s without a call, it ends and nothing is kept. "
        "A statement that fails is undone alone."
    )
    typed = {"state": "open", "transaction": made.handle, "seconds": made.seconds}
    return ToolAnswer(
        lines(f"{kind}: transaction {made.handle} is open", note),
        {"database": str(kind), **typed, "idle_seconds": made.idle_seconds},
    )


def ended(kind: Kind, state: str) -> ToolAnswer:
    """How a transaction ended, as it was told to."""
    return ToolAnswer(f"{kind}: transaction {state}", {"database": str(kind), "state": state})


def loaded(kind: Kind, made: Loaded) -> ToolAnswer:
    """How many rows `load_rows` added: all there were."""
    replayed = {"replayed": True} if made.replayed else {}
    return ToolAnswer(
        lines(f"{kind}: {counted(made.count)} loaded", _REPLAYED * made.replayed),
        {"database": str(kind), "loaded": made.count, **replayed},
    )


def failure(error: AgentDbError, kind: Kind | None) -> ToolAnswer:
    """An error in words the model can act on, and as the same fields on every front.

    `kind` is the database it happened in, once that is known: a wrong name is often the wrong database.
    """
    place = {} if kind is None else {"database": str(kind)}
    body = {key: clipped(value, _LONGEST_ERROR) for key, value in as_told(error).items()}
    theirs = {key: body[key] for key in _THEIRS if key in body} if isinstance(error, SqlFailed) else {}
    said = theirs.pop("message", None)
    head = "".join(f"{name}: " for name in place.values()) + f"error {body['code']}: "
    head += _told(body["message"]) if said is None else "PostgreSQL says"
    block = [] if said is None else [_told(said), *_fields(theirs)]
    ours = {key: value for key, value in body.items() if key not in {"code", "message", *theirs}}
    question = error.question if isinstance(error, Unconfirmed) else None
    return ToolAnswer(
        lines(head, data_block(block), *_fields(ours)),
        {**place, "error": body},
        is_error=True,
        question=question,
    )


def _fields(body: dict[str, Any]) -> list[str]:
    return [
        f"{key}:{_told(value) if isinstance(value, list) else f' {_told(value)}'}"
        for key, value in body.items()
    ]


def _told(value: Any) -> str:
    """A field of an error; of several things wrong each on a line.

    PostgreSQL repeats what rows hold and functions raise: none of it may begin a line that looks like ours.
    """
    return "\n".join(["", *map(one_line, value)]) if isinstance(value, list) else one_line(str(value))


def data_block(content: Sequence[str]) -> str:
    """Lines from a database, between marks that nobody who wrote them could have known."""
    if not content:
        return ""
    mark = secrets.token_hex(3)
    return written("\n".join((f"<data {mark}>", *content, f"</data {mark}>")))


def name_text(name: str) -> str:
    """A name from a database on a line of ours: as it is when it is plain, else as a JSON string."""
    return name if _PLAIN_NAME.match(name) else written(to_json(name).decode())


def one_line(text: str) -> str:
    """PostgreSQL's words on a line of ours: as they are, or as a JSON string when some cannot be seen."""
    return written(text if text.isprintable() else to_json(text).decode())


def _table(found: ResultSet) -> list[str]:
    """Columns once, then each row as a JSON array on a line of its own.

    NULL, '' and 'null' stay three things, no cell can break out of its line, and a cell costs one to three
    characters beyond its value.
    """
    noticed = _noticed(found)
    if not found.columns:
        return [*("[]" for _ in found.rows), *noticed]
    header = one_line(", ".join(f"{name_text(column.name)} {column.type}" for column in found.columns))
    return [header, *_row_lines(found), *noticed]


def _row_lines(found: ResultSet) -> list[str]:
    """A JSON array each, but for the marks of cells that were cut: these stand outside of the quotes.

    There nothing can stand that a row holds, so that no text can pose as one that was cut.
    """
    said = [to_json(row).decode() for row in found.rows]
    for number in {cell.row for cell in found.cut}:
        said[number] = f"[{','.join(map(_cell_text, found.rows[number]))}]"
    return said


def _cell_text(cell: Cell) -> str:
    if isinstance(cell, CutText):
        return to_json(cell.beginning).decode() + cell.mark
    return to_json(cell).decode()


def _typed(found: ResultSet) -> dict[str, Any]:
    return {
        "columns": [{"name": column.name, "type": column.type} for column in found.columns],
        "rows": found.rows,
        "row_count": len(found.rows),
        "truncated": found.truncated,
        **({"cut": [asdict(cell) for cell in found.cut]} if found.cut else {}),
        **_notices(found),
    }


def _noticed(made: ResultSet) -> list[str]:
    return [to_json(notice).decode() for notice in _notices(made).get("notices", ())]


def _notices(made: ResultSet) -> dict[str, list[str]]:
    told = [clipped(notice, _LONGEST_NOTICE) for notice in made.notices[:_MOST_NOTICES]]
    return {"notices": told} if told else {}


def _returned(made: ResultSet) -> dict[str, Any]:
    return _typed(made) if made.columns else _notices(made)


def _touched(table: Touched) -> list[str]:
    """Its counts, then rows that went and rows that came, as a diff has them."""
    counts = {"inserted": table.inserted, "updated": table.updated, "deleted": table.deleted}
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    head = f"{name_text(table.schema)}.{name_text(table.table)}: {said}"
    if table.sample is None:
        return [head]
    return [
        f"{head}; for instance ({one_line(', '.join(map(name_text, table.sample.columns)))}):",
        *(f"- {to_json(row).decode()}" for row in table.sample.before),
        *(f"+ {to_json(row).decode()}" for row in table.sample.after),
    ]


def _touched_form(table: Touched) -> dict[str, Any]:
    form = asdict(table)
    return form if table.sample is not None else {k: v for k, v in form.items() if k != "sample"}


def _cursor(found: ResultSet) -> dict[str, str]:
    return {"next_cursor": found.next_cursor} if found.next_cursor else {}


def _is_part(found: ResultSet) -> bool:
    return found.truncated is not None or found.offset > 0


def _extent(found: ResultSet) -> str:
    """How many rows stand here, and where they stand in all there are."""
    if not _is_part(found) or not found.rows:
        return counted(len(found.rows))
    first, last = found.offset + 1, found.offset + len(found.rows)
    place = f"row {first:,}" if first == last else f"rows {first:,}-{last:,}"
    if found.total is not None:
        return f"{place} of {found.total:,}"
    return place if found.estimate is None else f"{place} of about {float(f'{found.estimate:.2g}'):,.0f}"


def _totals(found: ResultSet) -> dict[str, int]:
    """Of the whole result, when only a part stands here: how many rows, or about how many."""
    counts = {"total": found.total, "estimate": found.estimate} if _is_part(found) else {}
    return {name: count for name, count in counts.items() if count is not None}


def _go_on(found: ResultSet) -> str:
    why = _WHY[found.truncated or "rows"]
    narrower = "" if found.truncated == "rows" else "fewer or shorter columns, or "
    further = (
        f"cursor {found.next_cursor}"
        if found.next_cursor
        else "ORDER BY a unique key and WHERE key > the last here"
    )
    return (
        f"Cut {why} after {counted(len(found.rows))}: there are more. Ask for {narrower}an aggregate, "
        f"or go on with {further}."
    )


def counted(count: int, noun: str = "row") -> str:
    """So many of them, in words of ours: digits in threes, as everywhere in an answer's text."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def lines(*parts: str) -> str:
    """The parts that say something, a line each."""
    return "\n".join(part for part in parts if part)


def clipped(value: Any, longest: int) -> Any:
    """A text cut to so many characters, with its true length; anything else as it is."""
    if not isinstance(value, str) or len(value) <= longest:
        return value
    return f"{value[:longest]}… ({len(value):,} characters)"
