"""The grammar's node types in a form the walk can use."""

from functools import cache
from typing import Final, NamedTuple

from agentdb_mcp.core.guard.grammar17 import NEVER_RAW, TABLE

GRAMMAR_MAJOR: Final = 17
"""PostgreSQL major version of the parser. A newer server may accept what this grammar does not know."""

PLAIN: Final = ""
LIST: Final = "*"
NODE: Final = "?"


class Field(NamedTuple):
    """What stands in one field: `form` is PLAIN, LIST, NODE or the type of an untagged structure."""

    name: str
    form: str


def _field(text: str) -> Field:
    if text[-1] in {LIST, NODE}:
        return Field(text[:-1], text[-1])
    name, _, structure = text.partition("=")
    return Field(name, structure)


@cache
def node_types() -> dict[str, dict[str, str]]:
    """Type -> field -> form, for every node type that a raw parse tree can hold."""
    lines = (line.split() for line in TABLE.strip().splitlines())
    return {tag: dict(map(_field, fields)) for tag, *fields in lines}


@cache
def never_raw() -> frozenset[str]:
    """Node types that only analysed and planned trees hold."""
    return frozenset(NEVER_RAW.split())
