"""What a statement gives back: columns once, then rows of JSON-safe cells that keep their meaning."""

from dataclasses import dataclass, field, replace
from typing import Final, Self

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A parameter as the caller's JSON gave it."""

Cell = None | bool | int | float | str | list["Cell"]
"""One value as it goes over the wire.

NULL is None. boolean, smallint, integer and finite floats are JSON's own; bigint is a number up to
2^53 - 1 in size and text beyond (JSON readers round there, RFC 8259 section 6); numeric is text; arrays
are lists; json and jsonb are their JSON text, so that SQL NULL, JSON null and '' stay three things;
everything else (timestamps, bytea, uuid, ranges, composites, unknown types) is PostgreSQL's own text form.
"""


CHARACTERS_PER_TOKEN: Final = 4
"""An estimate that needs no tokenizer: fair for English, on the low side for digits and identifiers."""


@dataclass(frozen=True, slots=True)
class Column:
    """A result column. `type` is PostgreSQL's name for it (format_type)."""

    name: str
    type: str


class CutText(str):
    """A cell that was cut: how it begins, then a mark with its true length.

    It is the text that is given; that it was cut, and was not written like that, only the type tells.
    """

    __slots__ = ("kept", "length")

    kept: int
    """Characters of its own that it begins with."""
    length: int
    """Characters of the whole cell, as PostgreSQL writes it."""

    def __new__(cls, beginning: str, length: int) -> Self:
        """The beginning of a text of so many characters."""
        made = super().__new__(cls, f"{beginning}{_mark(len(beginning), length)}")
        made.kept = len(beginning)
        made.length = length
        return made

    @property
    def beginning(self) -> str:
        """What is given of the cell itself."""
        return self[: self.kept]

    @property
    def mark(self) -> str:
        """What says that it was cut."""
        return self[self.kept :]


def _mark(kept: int, length: int) -> str:
    return f"…[+{length - kept:,} of {length:,} chars]"


@dataclass(frozen=True, slots=True)
class CutCell:
    """Where in a result a cell was cut: `kept` of its `length` characters stand before its mark."""

    row: int
    """From 0, as is the column."""
    column: int
    kept: int
    length: int


@dataclass(frozen=True, slots=True)
class ResultSet:
    """The rows of one statement, already within the caps."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    command: str
    """PostgreSQL's command tag, e.g. `INSERT 0 3`; empty when the row cap stopped the statement's output."""
    affected: int | None = None
    """Rows touched, for INSERT, UPDATE, DELETE and MERGE."""
    truncated: str | None = None
    """None, or why rows are missing: `rows`, `bytes` or `tokens`."""
    offset: int = 0
    """Rows of the same reading that were given before."""
    total: int | None = None
    """Rows of the whole reading, those before included, where they were counted on the way."""
    estimate: int | None = None
    """The planner's guess at them, where they were not."""
    cut: tuple[CutCell, ...] = ()
    """The cells that are not whole; row by row."""
    longest: int = 0
    """Characters at which cells were cut."""
    notices: tuple[str, ...] = field(default=())
    size: int | None = None
    """Bytes that PostgreSQL sent for it, beside the rows past the cap of a change."""
    next_cursor: str | None = None
    """A handle for the rows that follow, when the answer was cut and can be gone on with."""

    def after(self, offset: int, estimate: int | None) -> "ResultSet":
        """These rows as those that follow so many, of a reading that was first guessed to be so long."""
        total = None if self.total is None else offset + self.total
        return replace(self, offset=offset, total=total, estimate=None if total is not None else estimate)


@dataclass(frozen=True, slots=True)
class Asked:
    """How much of a result its caller wants; None is as much as there may be."""

    rows: int | None = None
    bytes: int | None = None
    tokens: int | None = None
    cell: int | None = None
    """Characters of one cell."""
    seconds: float | None = None
    """How long it may take."""
    changes: int | None = None
    """Rows that it may update and delete; None is any."""

    def over(self, before: "Asked") -> "Asked":
        """These wishes, and where there are none, those from before; a deadline is each call's own."""
        return Asked(
            before.rows if self.rows is None else self.rows,
            before.bytes if self.bytes is None else self.bytes,
            before.tokens if self.tokens is None else self.tokens,
            before.cell if self.cell is None else self.cell,
            seconds=self.seconds,
        )


ALL: Final = Asked()


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds on one result. The server's settings are the ceiling; a caller may only ask for less.

    Except of one cell: a document may be wanted in full, and what it costs is bounded by the other caps.
    """

    rows: int = 1_000
    bytes: int = 1_000_000
    seconds: float = 30.0
    tokens: int = 1_000_000
    """Of the answer's text: its characters, divided by CHARACTERS_PER_TOKEN."""
    cell: int = 1_000_000
    """Characters of one cell, where the caller asks for nothing else."""
    changes: int | None = None
    """Rows that may be updated and deleted; None is any."""

    def lowered(self, asked: Asked) -> "Caps":
        """These caps with at most what is asked for; never more than before, except of one cell."""
        return replace(
            self,
            rows=_lower(self.rows, asked.rows),
            bytes=_lower(self.bytes, asked.bytes),
            tokens=_lower(self.tokens, asked.tokens),
            cell=self.cell if asked.cell is None else max(asked.cell, 0),
            changes=asked.changes,
        )

    def beside(self, rows: int, bytes_: int) -> "Caps":
        """What is left of them beside a result of that size."""
        return replace(
            self,
            rows=max(self.rows - rows, 0),
            bytes=max(self.bytes - bytes_, 0),
            tokens=max(self.tokens - bytes_ // CHARACTERS_PER_TOKEN, 0),
        )

    def within(self, seconds: float | None) -> "Caps":
        """These caps with at most so many seconds: a policy's ceiling, or what the caller has."""
        return self if seconds is None else replace(self, seconds=min(self.seconds, seconds))


def _lower(cap: int, asked: int | None) -> int:
    return cap if asked is None else max(min(cap, asked), 0)
