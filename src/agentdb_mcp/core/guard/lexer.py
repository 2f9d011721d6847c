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


_LETTER: Final = r"A-Za-z_\u0080-\U0010ffff"
_SCANNER: Final = re.compile(
    rf"""
    [ \t\n\r\f\v]*
    (?: (?P<word> (?! [eEbBxXnN]' | [uU]&['"] ) [{_LETTER}][{_LETTER}0-9$]* )
      | (?P<punctuation> [(),;.\[\]{{}}\\] )
      | (?P<number> \$?[0-9][0-9_.]* )
      | (?P<quoted> (?:[uU]&)? "[^"]*(?:""[^"]*)*(?:"|\Z) )
      | (?P<string> (?:[bBxXnN]|[uU]&)? '[^']*(?:''[^']*)*(?:'|\Z) )
      | (?P<escape> [eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*(?:'|\Z) )
      | (?P<line> --[^\n\r]* )
      | (?P<block> /\* )
      | (?P<dollar> \$(?:[{_LETTER}][{_LETTER}0-9]*)?\$ )
      | (?P<assign> := )
      | (?P<operator> (?: (?!--|/\*) [-+*/<>=~!@#%^&|`?] )+ )
      | (?P<other> [^ \t\n\r\f\v] )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN_ENDED: Final = frozenset({"block", "dollar", "operator"})
_SPECIAL: Final = frozenset("~!@#%^&|`?")
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
        group = str(match.lastgroup)
        start, at = match.span(group)
        if group in _OPEN_ENDED:
            at = _end(sql, match[group], group, at)
        yield Token(_KINDS.get(group, TokenKind.OTHER), sql[start:at], start, at)


def _end(sql: str, text: str, group: str, at: int) -> int:
    """Where the token ends that only begins with `text`, which ends at `at`; or ends before it does."""
    if group == "block":
        return _comment_end(sql, at)
    if group == "operator":
        return at - len(text) + len(_operator(text))
    close = sql.find(text, at)
    return len(sql) if close < 0 else close + len(text)


def _operator(run: str) -> str:
    """Without its last + or -, unless a special character keeps it: so `a=-1` has the operator `=`."""
    return run if _SPECIAL & set(run) else run[0] + run[1:].rstrip("+-")


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
    for token in tokens(sql):
        if token.kind is not TokenKind.STRING and token.kind is not TokenKind.COMMENT:
            yield token
