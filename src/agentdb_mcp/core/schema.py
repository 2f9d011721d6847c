"""What a database holds: its tables in a line each, and one table in full."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agentdb_mcp.core.shapes import TableKind


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One line of a list."""

    schema: str
    name: str
    kind: TableKind
    estimated_rows: int | None
    """From PostgreSQL's statistics, never counted; None for views."""
    bytes: int | None
    """On disk, with indexes and what is stored out of line; None for views."""
    comment: str | None
    found_in: tuple[str, ...] = ()
    """Columns that a search found, by their name or comment."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Which tables to list; None is any."""

    schema: str | None = None
    pattern: str | None = None
    """Names LIKE this, upper and lower case alike."""
    after: str | None = None
    """`schema.name` of the last one listed before; `public` where no schema is named."""
    search: str | None = None
    """Words that names or comments, of the table or its columns, must hold; best matches first."""


@dataclass(frozen=True, slots=True)
class TableList:
    """The tables and views an agent can read, by schema and name. Partitions stand behind their table."""

    tables: tuple[TableSummary, ...]
    more: bool
    """Whether there are others beyond the limit of a list."""
    last: str | None = None
    """What `Listing.after` takes to go on; None for a search and when there are no more."""


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """One column."""

    name: str
    type: str
    """With its modifiers, e.g. `numeric(10,2)`."""
    nullable: bool
    default: str | None
    identity: Literal["always", "by default"] | None
    generated: str | None
    """The expression a generated column is computed by."""
    comment: str | None
    values: tuple[str, ...] = ()
    """The labels of an enum type, in order."""
    samples: tuple[str, ...] = ()
    """A few values as PostgreSQL's text, cut short; only when asked for."""


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a unique constraint."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference, seen from either end: `columns` are this table's, the others the other table's."""

    name: str
    columns: tuple[str, ...]
    other_schema: str
    other_table: str
    other_columns: tuple[str, ...]
    on_delete: str
    """`NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL` or `SET DEFAULT`."""
    on_update: str


@dataclass(frozen=True, slots=True)
class Definition:
    """Something with a name and PostgreSQL's own words for it: a check, an index, a trigger."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How a table is divided, or what part of another it is."""

    key: str | None
    """E.g. `RANGE (day)`, for a partitioned table."""
    partitions: tuple[Definition, ...]
    """Its partitions and their bounds, the first hundred."""
    parent: str | None
    bound: str | None
    """For a partition: the table it is part of, and its bounds."""


@dataclass(frozen=True, slots=True)
class TableDescription:
    """One table or view in full."""

    summary: TableSummary
    columns: tuple[ColumnDescription, ...]
    primary_key: Key | None
    unique_keys: tuple[Key, ...]
    checks: tuple[Definition, ...]
    """CHECK and EXCLUDE constraints."""
    foreign_keys: tuple[ForeignKey, ...]
    referenced_by: tuple[ForeignKey, ...]
    indexes: tuple[Definition, ...]
    triggers: tuple[Definition, ...]
    row_security: Literal["enabled", "forced"] | None
    policies: tuple[Definition, ...]
    inherits: tuple[str, ...]
    """Tables it inherits from, other than as a partition."""
    inherited_by: tuple[str, ...]
    """The first hundred."""
    view_definition: str | None
    partitioning: Partitioning | None


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that is installed: its types and functions can be used."""

    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a database is, as PostgreSQL says."""

    version: str
    """PostgreSQL's, e.g. `18.6`."""
    bytes: int
    """On disk, catalogs included."""
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a user's databases have cost in this period, as far as it was metered."""

    spent_cents: int
    limit_cents: int | None
    """None: the plan's own."""
    exceeded: bool
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for each call; nothing that a caller sends can lift it, but for a cell's characters."""

    max_rows: int
    max_result_bytes: int
    max_result_tokens: int
    max_cell_chars: int
    statement_timeout_seconds: float
    max_concurrent: int
    """Calls of the workspace at once; others wait."""


@dataclass(frozen=True, slots=True)
class Stake:
    """A table that a destructive statement reaches."""

    schema: str
    name: str
    rows: int | None
    """From PostgreSQL's statistics; None when there are none yet."""
