"""Cutting an answer down to its caps."""

import json
from typing import Final, Literal

from agentdb_mcp.core.results import Caps, Cell
from agentdb_mcp.execution.cells import NARROW_WIDTH

Rows = tuple[tuple[Cell, ...], ...]

_WORST: Final = 6
"""Bytes of JSON that one character can become: a control character as \\u0001."""

_AROUND: Final = 3
"""Quotes and a comma."""

_encoder: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def cut(rows: Rows, caps: Caps, characters: int) -> tuple[Rows, Literal["rows", "bytes"] | None]:
    """The rows within the caps, and why others are missing. Bytes are those of the rows as compact JSON.

    `characters` is the length of all their texts; above `caps.bytes` the driver has dropped some of them.
    """
    kept = rows[: caps.rows]
    if not _certainly_fits(kept, caps.bytes, characters):
        fitting = _fitting(kept, caps.bytes, characters)
        if len(fitting) < len(kept):
            return fitting, "bytes"
    return kept, "rows" if len(kept) < len(rows) else None


def _certainly_fits(rows: Rows, most_bytes: int, characters: int) -> bool:
    cells = len(rows) * len(rows[0]) if rows else 0
    return _WORST * characters + (NARROW_WIDTH + _AROUND) * cells + _AROUND * len(rows) <= most_bytes


def _fitting(rows: Rows, most_bytes: int, characters: int) -> Rows:
    if characters <= most_bytes and _size(rows) <= most_bytes:
        return rows
    left = most_bytes - 1  # two brackets, and one comma less than rows
    for number, row in enumerate(rows):
        left -= _size(row) + 1
        if left < 0:
            return rows[:number]
    return rows


def _size(value: Rows | tuple[Cell, ...]) -> int:
    return len(_encoder.encode(value).encode())
