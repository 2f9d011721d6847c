"""Cutting an answer down to its caps."""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic_core import to_json

from agentdb_mcp.core.invisible import WIDEST, written_length
from agentdb_mcp.core.results import CHARACTERS_PER_TOKEN, Caps, Cell, Column, CutCell, CutText
from agentdb_mcp.execution.cells import NARROW_WIDTH

Rows = tuple[tuple[Cell, ...], ...]

_AROUND: Final = 3
"""Quotes and a comma; of a column's name and type, what stands beside them."""

_FRAME: Final = 300
"""Characters of an answer's text that are neither its columns nor its rows."""

_LEAST_OF_A_CELL: Final = 40
"""Characters that stay of a cell whatever the tokens: with fewer it says nothing."""


def characters_for_rows(caps: Caps, columns: Sequence[Column]) -> int:
    """How many the tokens leave for the rows as text; may be none, or less."""
    header = sum(len(column.name) + len(column.type) + _AROUND for column in columns)
    return CHARACTERS_PER_TOKEN * caps.tokens - header - _FRAME


def longest_cell(caps: Caps, columns: Sequence[Column], wide: int) -> int:
    """Characters at which cells are cut, so that a row of so many `wide` ones fits the tokens."""
    share = characters_for_rows(caps, columns) // max(wide, 1)
    return min(caps.cell, max(share, _LEAST_OF_A_CELL))


def cut(
    rows: Rows, caps: Caps, characters: int, most_characters: int | None = None
) -> tuple[Rows, Literal["rows", "bytes", "tokens"] | None]:
    """The rows within the caps, and why others are missing. Bytes are those of the rows as compact JSON.

    `characters` is the length of all their texts; above `caps.bytes` the driver has dropped some of them.
    `most_characters` bounds the rows' JSON, a line each, but for the first: a result has a row if any fits
    the bytes.
    """
    kept = rows[: caps.rows]
    room = caps.bytes if most_characters is None else most_characters
    if not _certainly_fits(kept, min(caps.bytes, room), characters):
        fitting, short_of = _fitting(kept, caps.bytes, room)
        if len(fitting) < len(kept):
            return fitting, short_of
    return kept, "rows" if len(kept) < len(rows) else None


def cut_cells(rows: Rows) -> tuple[CutCell, ...]:
    """Where the cells are that were cut."""
    return tuple(
        CutCell(number, column, cell.kept, cell.length)
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
        if type(cell) is CutText
    )


def _certainly_fits(rows: Rows, most_bytes: int, characters: int) -> bool:
    cells = len(rows) * len(rows[0]) if rows else 0
    return WIDEST * characters + (NARROW_WIDTH + _AROUND) * cells + _AROUND * len(rows) <= most_bytes


def _fitting(rows: Rows, most_bytes: int, most_characters: int) -> tuple[Rows, Literal["bytes", "tokens"]]:
    bytes_left = most_bytes - 1  # two brackets, and one comma less than rows
    characters_left = most_characters
    for number, row in enumerate(rows):
        encoded = to_json(row)
        bytes_left -= len(encoded) + 1
        characters_left -= written_length(encoded.decode()) + 1
        if bytes_left < 0:
            return rows[:number], "bytes"
        if characters_left < 0 and number:
            return rows[:number], "tokens"
    return rows, "bytes"


def size(rows: Rows) -> int:
    """Bytes as compact JSON."""
    return len(to_json(rows))
