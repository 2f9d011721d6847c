"""Looked at before any parser sees the text: type, size, encoding, and the shapes that parsers choke on."""

import re
from typing import Final, NamedTuple

from agentdb_mcp.core.guard.lexer import TokenKind, code, tokens
from agentdb_mcp.core.guard.policy import Limits

_LONG_OPERATOR: Final = re.compile(r"(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?]){64}")
"""PostgreSQL's operators have at most 63; its scanner's time grows with the square of such a run."""
_MAX_NEGATIONS: Final = 64
"""In a row: each takes PostgreSQL's parser 128 bytes of stack, more than any other word does."""
_OPEN: Final = frozenset("([")
_CLOSE: Final = frozenset(")]")
_BLANKS: Final = re.compile("[\u00a0\u1680\u2000-\u200f\u2028-\u202e\u205f-\u2064\u3000\ufeff]")
"""Characters that look like blanks, or like nothing, and that PostgreSQL takes for letters."""


class Stopped(NamedTuple):
    """A gate that did not open: the rule, what was found, and where (1-based)."""

    rule: str
    found: str
    position: int | None


def gate(sql: object, limits: Limits) -> Stopped | None:
    """The first gate that stays shut; None when all open. Cost is linear in the text, whatever it holds."""
    if not isinstance(sql, str):
        return Stopped("text.type", type(sql).__name__, None)
    return _size(sql, limits) or _characters(sql) or shape(sql, limits)


def _size(sql: str, limits: Limits) -> Stopped | None:
    if len(sql) > limits.max_bytes:
        return Stopped("text.size", f"{len(sql)} characters", None)
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        return Stopped("text.encoding", "a lone surrogate", error.start + 1)
    return Stopped("text.size", f"{size} bytes", None) if size > limits.max_bytes else None


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


def shape(sql: str, limits: Limits) -> Stopped | None:
    """The shapes that a parser chokes on. Most texts are too short and too flat to hold any."""
    flat = sql.count("(") + sql.count("[") <= limits.max_depth and sql.count("/*") <= limits.max_comments
    if flat and len(sql) <= limits.max_tokens and not _LONG_OPERATOR.search(sql):
        return None
    return _excess(sql, limits)


def _excess(sql: str, limits: Limits) -> Stopped | None:
    """The first token that is one too many, in whichever way."""
    depth = negations = comments = 0
    for count, token in enumerate(tokens(sql), 1):
        depth = max(0, depth + (token.text in _OPEN) - (token.text in _CLOSE))
        negations = negations + 1 if token.text.lower() == "not" else 0
        comments += token.text.count("/*") if token.kind is TokenKind.COMMENT else 0
        if count > limits.max_tokens:
            rule, found = "text.tokens", f"more than {limits.max_tokens}"
        elif depth > limits.max_depth:
            rule, found = "text.depth", f"{depth} open brackets"
        elif negations > _MAX_NEGATIONS:
            rule, found = "text.depth", f"{negations} times NOT"
        elif comments > limits.max_comments:
            rule, found = "text.comments", f"more than {limits.max_comments}"
        elif token.kind is TokenKind.OTHER and _LONG_OPERATOR.match(sql, token.start):
            rule, found = "text.operator", "64 characters or more"
        else:
            continue
        return Stopped(rule, found, token.start + 1)
    return None
