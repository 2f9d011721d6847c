"""Looked at before any parser sees the text: type, size, encoding, and the shapes that parsers choke on."""

import re
from typing import Final, NamedTuple

from agentdb_mcp.core.guard.lexer import TokenKind, code

_BLANKS: Final = re.compile("[\u00a0\u1680\u2000-\u200f\u2028-\u202e\u205f-\u2064\u3000\ufeff]")
"""Characters that look like blanks, or like nothing, and that PostgreSQL takes for letters."""


class Stopped(NamedTuple):
    """A gate that did not open: the rule, what was found, and where (1-based)."""

    rule: str
    found: str
    position: int | None


def gate(sql: object, *, max_bytes: int, max_depth: int, max_comments: int) -> Stopped | None:
    """The first gate that stays shut; None when all open. Cost is linear in the text, whatever it holds."""
    if not isinstance(sql, str):
        return Stopped("text.type", type(sql).__name__, None)
    return _size(sql, max_bytes) or _characters(sql) or _shape(sql, max_depth, max_comments)


def _size(sql: str, max_bytes: int) -> Stopped | None:
    if len(sql) > max_bytes:
        return Stopped("text.size", f"{len(sql)} characters", None)
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        return Stopped("text.encoding", "a lone surrogate", error.start + 1)
    return Stopped("text.size", f"{size} bytes", None) if size > max_bytes else None


def _characters(sql: str) -> Stopped | None:
    nul = sql.find("\0")
    if nul >= 0:
        return Stopped("text.nul", "a NUL character", nul + 1)
    if not sql.isascii() and _BLANKS.search(sql):
        for token in code(sql):
            blank = _BLANKS.search(token.text) if token.kind is not TokenKind.QUOTED else None
            if blank:
                return Stopped("text.blank", f"U+{ord(blank[0]):04X}", token.start + blank.start() + 1)
    return None


def _shape(sql: str, max_depth: int, max_comments: int) -> Stopped | None:
    if sql.count("/*") > max_comments:
        return Stopped("text.comments", f"{sql.count('/*')} comments", None)
    if sql.count("(") + sql.count("[") <= max_depth:
        return None
    depth = 0
    for token in code(sql):
        if token.text in {"(", "["}:
            depth += 1
        elif token.text in {")", "]"}:
            depth = max(0, depth - 1)
        if depth > max_depth:
            return Stopped("text.depth", f"{depth} open brackets", token.start + 1)
    return None
