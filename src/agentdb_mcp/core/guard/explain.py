"""EXPLAIN's options."""

from typing import Any

from agentdb_mcp.core.guard.naming import path_of

_FALSE = frozenset({"false", "off", "0"})


def analyzes(body: dict[str, Any]) -> bool:
    """Whether this EXPLAIN runs its statement: the last ANALYZE wins, what is not surely false is true."""
    wanted = False
    for option in body.get("options", []):
        element = option.get("DefElem", {})
        if element.get("defname") == "analyze":
            wanted = not _surely_false(element.get("arg"))
    return wanted


def _surely_false(argument: Any) -> bool:
    """`argument` as PostgreSQL's defGetBoolean reads it; no argument is true."""
    if not isinstance(argument, dict):
        return False
    if "Integer" in argument:
        return not argument["Integer"].get("ival")
    if "Boolean" in argument:
        return not argument["Boolean"].get("boolval")
    return any(part.lower() in _FALSE for part in path_of(argument))
