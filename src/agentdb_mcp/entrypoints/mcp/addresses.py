"""The addresses of what a database holds, as clients see them: `agentdb://agent/tables/public/customer`.

Names stand in them percent-encoded (RFC 6570, simple expansion), so that any name is one part of a path.
"""

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, unquote_to_bytes

from agentdb_mcp.core.databases import Kind

SCHEME: Final = "agentdb://"
TEMPLATE: Final = "agentdb://{database}/tables/{schema}/{table}"

_LONGEST: Final = 1_000
"""Characters of an address: two names of 63 bytes each, three characters a byte, and room."""


@dataclass(frozen=True, slots=True)
class Address:
    """The list of a database's tables, or one of them."""

    kind: Kind
    table: tuple[str, str] | None = None
    """Schema and name."""

    def __str__(self) -> str:
        rest = "" if self.table is None else "".join(f"/{quote(part, safe='')}" for part in self.table)
        return f"{SCHEME}{self.kind}/tables{rest}"

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """What the text addresses; None when it is no address of ours."""
        if not text.startswith(SCHEME) or len(text) > _LONGEST:
            return None
        try:
            database, what, *names = [_decoded(part) for part in text.removeprefix(SCHEME).split("/")]
            kind = Kind(database)
        except ValueError:
            return None
        if what != "tables" or "" in names:
            return None
        match names:
            case []:
                return cls(kind)
            case [schema, table]:
                return cls(kind, (schema, table))
            case _:
                return None


def _decoded(part: str) -> str:
    return unquote_to_bytes(part).decode()
