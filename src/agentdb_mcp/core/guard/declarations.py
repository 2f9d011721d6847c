"""DECLARE sections of PL/pgSQL, read from the text.

libpg_query 17 leaves two things to do: its JSON drops the default of a record variable (`r record := f()`),
and without a catalog it takes a variable of a table's row type for a scalar, so that it calls `x.a := 1`
an unknown variable.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from agentdb_mcp.core.guard.lexer import Token, TokenKind, code, tokens

_UNKNOWN_VARIABLE: Final = re.compile(r'"([^"]+)\.[^".]*" is not a known variable')
_NOT_A_CURSOR: Final = re.compile(r'variable "([^"]+)" must be of type cursor or refcursor')
_BEFORE_DEFAULT: Final = frozenset({":=", "=", "default"})


class Declaration(NamedTuple):
    """One declared variable. The places are characters of the text."""

    name: str
    type: str
    """Its type as written; nothing for a cursor or an alias."""
    type_start: int
    type_end: int
    """Up to the default or the end: with COLLATE and NOT NULL."""
    default: str | None


def declarations(body: str) -> Iterator[Declaration]:
    """Every variable of every DECLARE section in `body`."""
    run: list[Token] = []
    depth, declaring = 0, False
    for token in code(body):
        word = token.text.lower() if token.kind is TokenKind.WORD else token.text
        if not run and word in {"declare", "begin"}:
            declaring = word == "declare"
            continue
        if word == "declare" and not declaring:
            declaring, run, depth = True, [], 0
            continue
        depth += (word in {"(", "["}) - (word in {")", "]"})
        if not declaring:
            continue
        if word == ";" and depth <= 0:
            yield from _declaration(body, run, token.start)
            run, depth = [], 0
        else:
            run.append(token)


def _declaration(body: str, run: list[Token], end: int) -> Iterator[Declaration]:
    words = [token.text.lower() if token.kind is TokenKind.WORD else token.text for token in run]
    if len(run) < 2:
        return
    first = 2 if words[1] == "constant" else 1
    if _has_no_type(words) or first >= len(run):
        yield Declaration(words[0], "", run[0].end, end, None)
        return
    default = _outside_brackets(run, words, first, _BEFORE_DEFAULT)
    named = _outside_brackets(run, words, first, _BEFORE_DEFAULT | {"collate", "not"})
    type_end = run[default].start if default < len(run) else end
    yield Declaration(
        words[0],
        body[run[first].start : run[named].start if named < len(run) else end],
        run[first].start,
        type_end,
        body[run[default].end : end] if default < len(run) else None,
    )


def _has_no_type(words: list[str]) -> bool:
    """A cursor or an alias, by its very place: further on, `cursor` may be a function in a default."""
    return (
        words[1] == "cursor"
        or words[1:3] in (["scroll", "cursor"], ["alias", "for"])
        or words[1:4] == ["no", "scroll", "cursor"]
    )


def _outside_brackets(run: list[Token], words: list[str], first: int, wanted: frozenset[str]) -> int:
    """Index of the first of the wanted words outside brackets, or the length."""
    depth = 0
    for index in range(first, len(run)):
        depth += (words[index] in {"(", "["}) - (words[index] in {")", "]"})
        if depth == 0 and words[index] in wanted:
            return index
    return len(run)


def mended(source: str, body: str, message: str) -> tuple[str, str] | None:
    """Source and body where the variable that `message` complains of has a type that serves, if any does.

    Only for analysis: what is replaced (type and default) is analysed apart; the original text is what runs.
    """
    cursor = _NOT_A_CURSOR.search(message)
    if cursor is not None:
        return _with_body(source, body, _shadowed(body, list(code(body)), cursor[1], "refcursor"))
    unknown = _UNKNOWN_VARIABLE.search(message)
    if unknown is None:
        return None
    names = unknown[1].split(".")
    every = list(code(body))
    dotted = _dotted(every)
    changed = body
    for found in reversed(list(declarations(body))):
        if found.type and (found.name in dotted or found.name.strip('"') in names):
            changed = f"{changed[: found.type_start]}record {changed[found.type_end :]}"
    return _with_body(
        source, body, changed if changed != body else _shadowed(body, every, names[0], "record")
    )


def _dotted(found: list[Token]) -> frozenset[str]:
    """Names that a dot follows, as they are written: what has fields can be a record."""
    return frozenset(_folded(token) for token, after in pairwise(found) if after.text == ".")


def _folded(token: Token) -> str:
    return token.text.lower() if token.kind is TokenKind.WORD else token.text


def _shadowed(body: str, found: list[Token], name: str, type_name: str) -> str:
    """The body in a block where a parameter has a type that the library understands."""
    ends = bool(found) and found[-1].text == ";"
    return f'DECLARE "{name}" {type_name}; BEGIN {body}\n{"" if ends else ";"} END'


def _with_body(source: str, body: str, changed: str) -> tuple[str, str] | None:
    """`source` with the string constant that is `body` replaced."""
    for token in tokens(source):
        if token.kind is TokenKind.STRING and _constant(token.text) == body:
            quoted = "'" + changed.replace("'", "''") + "'"
            return f"{source[: token.start]} {quoted} {source[token.end :]}", changed
    return None


def _constant(text: str) -> str:
    """The value of a plain or dollar-quoted string constant; other spellings are left as they are."""
    if text.startswith("$"):
        tag = text[: text.index("$", 1) + 1]
        return text[len(tag) : -len(tag)]
    return text[1:-1].replace("''", "'") if text.startswith("'") else text
