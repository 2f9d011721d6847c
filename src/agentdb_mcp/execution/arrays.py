"""PostgreSQL's array literals, both ways (manual, section "Array Input and Output Syntax")."""

import re
from collections.abc import Callable
from typing import Final

from agentdb_mcp.core.results import Cell

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)

ArrayItem = None | str | list["ArrayItem"]
"""What an array is made of on the way in: NULL, an element's text, or a further dimension."""


def parse_array(literal: str, element: Callable[[str], Cell], delimiter: str = ",") -> Cell:
    """Nested lists, each element through `element`; the literal itself when it has its own lower bounds.

    `[0:1]={7,8}` would lose its bounds as a list. Unquoted NULL is None; quoted, it is the text.
    """
    if '"' in literal or literal.rfind("{") or "NULL" in literal:
        return literal if literal.startswith("[") else _nested(literal, element, delimiter)
    # Most arrays are one row of plain elements.
    items = literal[1:-1].split(delimiter) if literal != "{}" else []
    return items if element is str else list(map(element, items))  # pyright: ignore[reportReturnType]


def _nested(literal: str, element: Callable[[str], Cell], delimiter: str) -> list[Cell]:
    root: list[Cell] = []
    open_lists = [root]
    for quoted, brace, plain in _tokens(delimiter).findall(literal):
        if brace == "{":
            open_lists[-1].append([])
            open_lists.append(open_lists[-1][-1])  # pyright: ignore[reportArgumentType]
        elif brace == "}":
            open_lists.pop()
        elif plain:
            open_lists[-1].append(None if plain == "NULL" else element(plain))
        else:
            open_lists[-1].append(element(_ESCAPED.sub(r"\1", quoted[1:-1])))
    return root[0]  # pyright: ignore[reportReturnType]


def _tokens(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf'("(?:[^"\\]|\\.)*")|([{{}}])|([^{{}}"{delimiter}]+)', re.DOTALL)


def render_array(items: list[ArrayItem], delimiter: str = ",") -> str:
    """The literal of nested lists of text; elements are quoted, so that none is taken for NULL or a brace."""
    return "{" + delimiter.join(_render_item(item, delimiter) for item in items) + "}"


def _render_item(item: ArrayItem, delimiter: str) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list):
        return render_array(item, delimiter)
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
