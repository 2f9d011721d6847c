"""The store's SQL, by name, from queries.sql beside this file."""

from pathlib import Path
from typing import Final, LiteralString

from agentdb_mcp import assets

_FILE: Final = Path(__file__).with_name("queries.sql")


def query(name: str) -> LiteralString:
    """The statement of that name."""
    return assets.statements(_FILE)[name]
