"""Rows of JSON in the forms that COPY takes, and what is wrong with them, row by row."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import JsonValue
from agentdb_mcp.execution.binary import HEAD, TAIL, Encode, OnlyPostgresKnows, encoder, row_of, utf8
from agentdb_mcp.execution.parameters import text_of
from agentdb_mcp.execution.pgtypes import PgType

Rows = Sequence[JsonValue]
"""As they came: each should be an array, with a value for each column."""

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one load, as it is sent."""

MOST_PROBLEMS: Final = 20
"""Told of one load."""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def encoded(
    rows: Rows, columns: Sequence[str], oids: Sequence[int], types: Sequence[PgType]
) -> tuple[Literal["binary", "text"], bytes]:
    """The form of COPY, and all it is sent.

    Binary when the type of every column and the spelling of every value is known here, text otherwise. Raises
    Invalid("rows_invalid") for rows of another length, and for values that no reading makes right.
    """
    known = [encoder(oid, kind) for oid, kind in zip(oids, types, strict=True)]
    encoders = [each for each in known if each is not None]
    if len(encoders) == len(columns):
        data = _through(rows, columns, encoders, row_of)
        if data is not None:
            return "binary", _bounded(HEAD + data + TAIL)
    data = _through(rows, columns, [partial(_as_text, kind) for kind in types], _line)
    return "text", _bounded(data or b"")


def _through(
    rows: Rows,
    columns: Sequence[str],
    encoders: Sequence[Encode],
    join: Callable[[list[bytes | None]], bytes],
) -> bytes | None:
    """All rows, encoded; None when only PostgreSQL knows whether one of the values is right."""
    parts, problems, is_known = list[bytes](), _Problems(), True
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(columns):
            problems.add(number, _misshapen(row, columns))
            continue
        cells = list[bytes | None]()
        for name, encode, value in zip(columns, encoders, row, strict=True):
            try:
                cells.append(None if value is None else encode(value))
            except OnlyPostgresKnows:
                is_known = False
            except ValueError as error:
                problems.add(number, f", {name}: {error}")
        parts.append(join(cells))
    if problems.count:
        raise problems.told()
    return b"".join(parts) if is_known else None


class _Problems:
    """What is wrong with rows: the first of them, and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._first = list[str]()

    def add(self, row: int, words: str) -> None:
        self.count += 1
        if len(self._first) < MOST_PROBLEMS:
            self._first.append(f"row {row}{words}")

    def told(self) -> Invalid:
        more = f" The first {len(self._first)} of them:" if self.count > len(self._first) else ""
        noun = "value or row does" if self.count == 1 else "values or rows do"
        return Invalid(
            "rows_invalid",
            f"{self.count} {noun} not fit; nothing was loaded.{more}",
            "Mend these and send all rows again.",
            problems=self._first,
        )


def _misshapen(row: JsonValue, columns: Sequence[str]) -> str:
    if not isinstance(row, list):
        return ": not an array"
    values = "1 value" if len(row) == 1 else f"{len(row)} values"
    return f": {values} for {len(columns)} column{'s' * (len(columns) != 1)}"


def _bounded(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise Invalid(
            "bad_argument",
            f"These rows are larger than one call may load ({MOST_BYTES:,} bytes); nothing was loaded.",
            "Send them in several calls, in a transaction if all or none are to be kept.",
        )
    return data


def _as_text(kind: PgType, value: JsonValue) -> bytes:
    return utf8((text_of(value, kind) or "").translate(_ESCAPES))


def _line(cells: list[bytes | None]) -> bytes:
    return b"\t".join(b"\\N" if cell is None else cell for cell in cells) + b"\n"
