"""What a statement gives back: columns once, then rows of JSON-safe cells that keep their meaning."""

from dataclasses import dataclass, field, replace
from typing import Final

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A parameter as the caller's JSON gave it."""

Cell = None | bool | int | float | str | list["Cell"]
"""One value as it goes over the wire.

NULL is None. boolean, smallint, integer and finite floats are JSON's own; bigint is a number up to
2^53 - 1 in size and text beyond (JSON readers round there, RFC 8259 section 6); numeric is text; arrays
are lists; json and jsonb are their JSON text, so that SQL NULL, JSON null and '' stay three things;
everything else (timestamps, bytea, uuid, ranges, composites, unknown types) is PostgreSQL's own text form.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A result column. `type` is PostgreSQL's name for it (format_type)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Touched:
    """How many rows of one table a statement touched, with its triggers and cascades."""

    schema: str
    table: str
    inserted: int
    updated: int
    deleted: int


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
    """None, or why rows are missing: `rows` or `bytes`."""
    notices: tuple[str, ...] = field(default=())
    next_cursor: str | None = None
    """A handle for the rows that follow, when the answer was cut and can be gone on with."""
    touched: tuple[Touched, ...] = ()
    """By table, for a change that was only rehearsed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How much of a result its caller wants; None is as much as there may be."""

    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    """How long it may take."""

    def over(self, before: "Asked") -> "Asked":
        """These wishes, and where there are none, those from before; a deadline is each call's own."""
        return Asked(
            before.rows if self.rows is None else self.rows,
            before.bytes if self.bytes is None else self.bytes,
            seconds=self.seconds,
        )


ALL: Final = Asked()


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds on one result. The server's settings are the ceiling; a caller may only ask for less."""

    rows: int = 1_000
    bytes: int = 1_000_000
    seconds: float = 30.0

    def lowered(self, asked: Asked) -> "Caps":
        """These caps with at most what is asked for; never more than before."""
        return Caps(_lower(self.rows, asked.rows), _lower(self.bytes, asked.bytes), self.seconds)

    def within(self, seconds: float | None) -> "Caps":
        """These caps with at most so many seconds: a policy's ceiling, or what the caller has."""
        return self if seconds is None else replace(self, seconds=min(self.seconds, seconds))


def _lower(cap: int, asked: int | None) -> int:
    return cap if asked is None else max(min(cap, asked), 0)
