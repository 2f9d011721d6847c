"""SQL names of ours: quoted in one place, opaque, derived from ids."""

from typing import LiteralString, cast

MAX_IDENTIFIER_BYTES = 63
"""PostgreSQL's NAMEDATALEN - 1 (documentation, section 4.1.1)."""


def quote_identifier(name: str) -> LiteralString:
    """`name` as a delimited identifier, safe to place into SQL of ours.

    Raises ValueError for a name PostgreSQL would refuse or cut: empty, NUL, longer than 63 bytes.
    """
    if not name or "\0" in name or len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise ValueError("not a PostgreSQL identifier")
    return cast("LiteralString", '"' + name.replace('"', '""') + '"')


def quote_literal(value: str) -> LiteralString:
    """`value` as a string constant, for the utility statements that take no parameters."""
    if "\0" in value:
        raise ValueError("a PostgreSQL string holds no NUL")
    quoted = "'" + value.replace("'", "''") + "'"
    return cast("LiteralString", " E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted)
