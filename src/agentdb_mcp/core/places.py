"""Behind which row a read goes on, where its order is that of a key."""

from dataclasses import dataclass
from typing import Final

from agentdb_mcp.core.guard import Keyset
from agentdb_mcp.core.results import Column, CutText, ResultSet

_EXACT: Final = frozenset(
    {
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "text",
        "character varying",
        "uuid",
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
    }
)
"""Types whose cells mean the same value when they come back as parameters."""


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a page."""

    keyset: Keyset
    keys: tuple[int | str, ...]
    columns: tuple[Column, ...]
    """Of the page, and of those that follow."""

    @classmethod
    def behind(cls, keyset: Keyset, found: ResultSet) -> "Place | None":
        """Where these rows end; None when the last one does not give its key as it is."""
        names = [column.name for column in found.columns]
        if not found.rows or any(names.count(key) != 1 for key in keyset.keys):
            return None
        where = [names.index(key) for key in keyset.keys]
        cells = [found.rows[-1][number] for number in where]
        keys = tuple(cell for cell in cells if isinstance(cell, int | str) and not isinstance(cell, CutText))
        exact = all(found.columns[number].type in _EXACT for number in where)
        return cls(keyset, keys, found.columns) if exact and len(keys) == len(cells) else None
