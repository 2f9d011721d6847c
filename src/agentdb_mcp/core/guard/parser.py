"""The only door to pgparse, PostgreSQL's own grammar."""

from typing import Any, cast

import pgparse

Tree = dict[str, Any]
"""A node's fields as libpg_query writes them."""


class SyntaxRefused(Exception):
    """PostgreSQL's grammar does not accept the text. `position` is 1-based, in characters."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class TooDeep(Exception):
    """The text nests deeper than can be analysed."""


def parse(sql: str) -> list[Tree]:
    """The raw statements of `sql`. Raises SyntaxRefused or TooDeep.

    `sql` must hold neither NUL (the library stops there) nor lone surrogates.
    """
    return [cast("Tree", raw) for raw in _called(pgparse.parse, sql)]


def parse_routine(sql: str) -> list[Tree]:
    """The PL/pgSQL trees of the one CREATE FUNCTION or DO in `sql`. Raises SyntaxRefused or TooDeep.

    The library dereferences null when a routine has no AS: callers look first.
    """
    return [cast("Tree", raw) for raw in _called(pgparse.parse_pgsql, sql)]


def fingerprint(sql: str) -> bytes | None:
    """Eight bytes that are the same for statements which differ only in constants; None: it cannot be read.

    For what a policy approved: the gates keep away what the library would choke on.
    """
    try:
        return bytes.fromhex(_called(pgparse.fingerprint, sql))
    except (SyntaxRefused, TooDeep):
        return None


def _called(parser: Any, sql: str) -> Any:
    try:
        return parser(sql)
    except pgparse.PGQueryError as error:
        message, position = str(error.message), int(error.position or 0)
        if "stack depth" in message or "memory exhausted" in message:
            raise TooDeep from None
        raise SyntaxRefused(message, position or None) from None
    except (RecursionError, MemoryError):
        raise TooDeep from None


class Offsets:
    """UTF-8 byte offsets of nodes -> 1-based characters of the text."""

    def __init__(self, sql: str) -> None:
        self._bytes = None if sql.isascii() else sql.encode()

    def position(self, offset: int) -> int | None:
        """The character at `offset`; None for an unknown place."""
        if offset < 0:
            return None
        if self._bytes is None:
            return offset + 1
        return len(self._bytes[:offset].decode(errors="ignore")) + 1
