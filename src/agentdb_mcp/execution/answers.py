"""A statement as a server has prepared it, and what it sent back for it."""

from dataclasses import dataclass
from typing import Any

from agentdb_mcp.core.results import Cell, Column


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement the server has parsed: what it wants and what it gives."""

    state: Any
    """asyncpg's PreparedStatementState."""
    parameters: tuple[int, ...]
    columns: tuple[Column, ...]
    wide: int
    """How many of them are of types whose texts have no small bound."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sent back for one execution."""

    rows: tuple[tuple[Cell, ...], ...]
    tag: str
    """PostgreSQL's command tag; empty when the row limit stopped the output first."""
