"""PostgreSQL's tokens, as far as the guard needs them: where code ends and literals and comments begin.

Rules from PostgreSQL's scan.l with standard_conforming_strings on (documentation, section 4.1).
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple


class TokenKind(Enum):
    """What a piece of the text is."""

    COMMENT = auto()
    STRING = auto()
    QUOTED = auto()
    """A delimited identifier, with its quotes."""
    WORD = auto()
    """A bare identifier or keyword."""
    OTHER = auto()
    """An operator, a bracket, a number, a parameter."""


class Token(NamedTuple):
    """One token; `start` and `end` are 0-based characters."""

    kind: TokenKind
    text: str
    start: int
    end: int


_WORD: Final = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*"
_SCANNER: Final = re.compile(
    r"""
      (?P<space> [ \t\n\r\f\v]+ )
    | (?P<line> --[^\n\r]* )
    | (?P<block> /\* )
    | (?P<escape> [eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) )
    | (?P<string> (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z) )
    | (?P<quoted> (?:[uU]&)?"(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> \$(?P<tag>(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?)\$ )
    | (?P<number> (?:\$[0-9]+|[0-9][0-9_.]*) )
    | (?P<word> """
    + _WORD
    + r""" )
    | (?P<assign> := )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")

_KINDS: Final = {
    "line": TokenKind.COMMENT,
    "block": TokenKind.COMMENT,
    "escape": TokenKind.STRING,
    "string": TokenKind.STRING,
    "dollar": TokenKind.STRING,
    "quoted": TokenKind.QUOTED,
    "word": TokenKind.WORD,
}


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of `sql` without the blanks. An unclosed literal or comment runs to the end."""
    at = 0
    while match := _SCANNER.match(sql, at):
        group = str(match.lastgroup if match.lastgroup != "tag" else "dollar")
        end = _end(sql, match, group)
        if group != "space":
            yield Token(_KINDS.get(group, TokenKind.OTHER), sql[at:end], at, end)
        at = end


def _end(sql: str, match: re.Match[str], group: str) -> int:
    if group == "block":
        return _comment_end(sql, match.end())
    if group == "dollar":
        close = sql.find(match[0], match.end())
        return len(sql) if close < 0 else close + len(match[0])
    return match.end()


def _comment_end(sql: str, at: int) -> int:
    """Block comments nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            return len(sql)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at


def code(sql: str) -> Iterator[Token]:
    """The tokens that are neither comments nor strings."""
    return (token for token in tokens(sql) if token.kind not in {TokenKind.COMMENT, TokenKind.STRING})
