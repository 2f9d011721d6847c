"""DECLARE sections of PL/pgSQL, read from the text.

libpg_query 17 leaves two things to do: its JSON drops the default of a record variable (`r record := f()`), and
without a catalog it takes a variable of a table's row type for a scalar, so that `x.a := 1` is "not a known variable".
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from agentdb_mcp.core.guard.lexer import Token, TokenKind, code

_UNKNOWN_VARIABLE: Final = re.compile(r'"([^".]+)\.[^"]*" is not a known variable')
_BEFORE_DEFAULT: Final = frozenset({":=", "=", "default"})


class Declaration(NamedTuple):
    """One declared variable. The places are characters of the text."""

    name: str
    type_start: int
    type_end: int
    default: str | None
    is_cursor: bool


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
    if "cursor" in words[1:4] or words[1] == "alias" or first >= len(run):
        yield Declaration(words[0], run[0].end, end, None, True)
        return
    at, depth = len(run), 0
    for index in range(first, len(run)):
        depth += (words[index] in {"(", "["}) - (words[index] in {")", "]"})
        if depth == 0 and words[index] in _BEFORE_DEFAULT:
            at = index
            break
    default = body[run[at].end : end] if at < len(run) else None
    type_end = run[at].start if at < len(run) else end
    yield Declaration(words[0], run[first].start, type_end, default, False)


def as_record(source: str, body: str, message: str) -> str | None:
    """`source` with the variable that `message` calls unknown declared as a record; None when that is not the case.

    Only for analysis: what is replaced (type and default) is analysed apart, and the original text is what runs.
    """
    unknown = _UNKNOWN_VARIABLE.search(message)
    start = source.find(body) if unknown else -1
    if unknown is None or start < 0:
        return None
    changed = body
    for found in reversed(list(declarations(body))):
        if found.name.strip('"') == unknown[1] and not found.is_cursor:
            changed = changed[: found.type_start] + "record " + changed[found.type_end :]
    return source[:start] + changed + source[start + len(body) :] if changed != body else None
