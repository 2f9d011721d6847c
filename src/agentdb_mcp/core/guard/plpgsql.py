"""PL/pgSQL trees: the statements and expressions they embed, and what the language itself can do."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple

from agentdb_mcp.core.guard.facts import Feature


class Mode(IntEnum):
    """libpg_query's RawParseMode: how a piece of SQL is to be read."""

    STATEMENT = 0
    TYPE = 1
    EXPRESSION = 2
    ASSIGN_ONE = 3
    ASSIGN_TWO = 4
    ASSIGN_THREE = 5


class Piece(NamedTuple):
    """A piece of SQL inside the body."""

    text: str
    mode: int
    dynamic: bool = False
    """Its value is run as SQL."""


class Remark(NamedTuple):
    """Something the language itself does."""

    feature: Feature
    found: str


_KNOWN: Final = frozenset(
    [
        "assign",
        "block",
        "call",
        "case",
        "close",
        "commit",
        "dynexecute",
        "dynfors",
        "execsql",
        "exit",
        "fetch",
        "foreach_a",
        "forc",
        "fori",
        "fors",
        "getdiag",
        "if",
        "loop",
        "open",
        "perform",
        "raise",
        "return",
        "return_next",
        "return_query",
        "rollback",
        "assert",
        "while",
    ]
)
_PARTS: Final = frozenset(
    [
        "PLpgSQL_function",
        "PLpgSQL_var",
        "PLpgSQL_rec",
        "PLpgSQL_row",
        "PLpgSQL_recfield",
        "PLpgSQL_type",
        "PLpgSQL_expr",
        "PLpgSQL_exception",
        "PLpgSQL_exception_block",
        "PLpgSQL_condition",
        "PLpgSQL_if_elsif",
        "PLpgSQL_case_when",
        "PLpgSQL_raise_option",
        "PLpgSQL_diag_item",
    ]
)
NODES: Final = _PARTS | {f"PLpgSQL_stmt_{name}" for name in _KNOWN}
"""Every node type that libpg_query 17 writes for a body."""

_CANCELS: Final = frozenset(
    {
        "query_canceled",
        "operator_intervention",
        "admin_shutdown",
        "crash_shutdown",
        "cannot_connect_now",
        "database_dropped",
        "idle_session_timeout",
    }
)
_DYNAMIC: Final = frozenset({"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"})


def pieces(tree: Any) -> Iterator[Piece | Remark]:
    """What the body embeds and does, in the order of the text."""
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
        elif isinstance(node, dict):
            yield from _found(node)
            pending.extend(reversed([value for value in node.values() if isinstance(value, dict | list)]))


def _found(node: dict[str, Any]) -> Iterator[Piece | Remark]:
    for tag, body in node.items():
        if tag.startswith("PLpgSQL_") and tag not in NODES:
            yield Remark(Feature.UNKNOWN_NODE, tag)
        elif tag == "PLpgSQL_expr":
            yield Piece(str(body.get("query", "")), int(body.get("parseMode", 0)))
        elif tag == "PLpgSQL_type":
            yield Piece(str(body.get("typname", "")), Mode.TYPE)
        elif tag == "PLpgSQL_condition" and _catches_cancel(str(body.get("condname", ""))):
            yield Remark(Feature.SWALLOWED_CANCEL, str(body["condname"]))
        elif tag in {"PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback"}:
            yield Remark(Feature.ROUTINE_TRANSACTION, tag.removeprefix("PLpgSQL_stmt_").upper())
        elif tag == "dynquery" or tag in _DYNAMIC:
            query = (body if tag == "dynquery" else body.get("query", {})).get("PLpgSQL_expr", {})
            yield Piece(str(query.get("query", "")), Mode.EXPRESSION, dynamic=True)


def _catches_cancel(condition: str) -> bool:
    """SQLSTATE class 57 is the operator's intervention; time limits and cancellation arrive as 57014."""
    return condition.lower() in _CANCELS or condition.startswith("57")
