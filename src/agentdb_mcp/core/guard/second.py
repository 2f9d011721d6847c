"""The second opinion: sqlglot, the only door to it. Asked where it is quick, heeded where it has a tree.

sqlglot doubles its time for each level of some nestings, cannot be interrupted, and reads some texts in other
ways than PostgreSQL. So it never sees much or deep text, and its word alone never lets a statement pass.
"""

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.facts import Facts, Name, NameKind
from agentdb_mcp.core.guard.policy import SecondOpinion
from agentdb_mcp.core.identifiers import MAX_IDENTIFIER_BYTES

if TYPE_CHECKING:
    from sqlglot.dialects.postgres import Postgres

_OPENERS: Final = frozenset({"L_PAREN", "L_BRACKET", "L_BRACE"})
_CLOSERS: Final = frozenset({"R_PAREN", "R_BRACKET", "R_BRACE"})
_CHANGES: Final = frozenset(
    {
        "insert",
        "update",
        "delete",
        "merge",
        "truncatetable",
        "create",
        "drop",
        "alter",
        "into",
        "lock",
        "comment",
    }
)
"""Names of sqlglot's nodes that are more than reading."""
_ROOTS: Final = _CHANGES | {"select", "union", "intersect", "except", "subquery", "values"}
"""What a tree can begin with to be heeded: anything else (a Command, a bare expression) is not a view."""
_WITH_BODIES: Final = frozenset({"CREATE FUNCTION", "CREATE PROCEDURE"})


@dataclass(frozen=True, slots=True)
class SecondView:
    """What sqlglot saw."""

    reads_only: bool
    relations: tuple[str, ...]
    identifiers: frozenset[str]


def second_view(sql: str, limits: SecondOpinion) -> SecondView | None:
    """The view; None when it has none, or is not asked because it could take long."""
    if not limits.enabled or len(sql) > limits.max_bytes or sql.count("[") > limits.max_subscripts:
        return None
    try:
        return _view(sql, limits)
    except Exception:  # noqa: BLE001 - sqlglot raises whatever comes: an opinion it cannot give is none
        return None


@cache
def _dialect() -> "Postgres":
    from sqlglot.dialects.postgres import Postgres

    logging.getLogger("sqlglot").setLevel(
        logging.CRITICAL
    )  # it logs every statement that it cannot represent
    return Postgres()


def _view(sql: str, limits: SecondOpinion) -> SecondView | None:
    dialect = _dialect()
    tokens = dialect.tokenize(sql)
    if len(tokens) > limits.max_tokens or not _quick(tokens, limits):
        return None
    trees = [tree for tree in dialect.parser().parse(tokens, sql) if tree is not None]
    return _seen(trees[0]) if len(trees) == 1 else None


def _quick(tokens: list[Any], limits: SecondOpinion) -> bool:
    """Whether the brackets, as sqlglot itself sees them, let it answer soon."""
    depth = work = 0
    for token in tokens:
        kind = token.token_type.name
        if kind in _OPENERS:
            depth += 1
            work += 1 << depth
            if depth > limits.max_depth or work > limits.max_work:
                return False
        elif kind in _CLOSERS:
            depth = max(0, depth - 1)
    return True


def _seen(tree: Any) -> SecondView | None:
    if tree.key not in _ROOTS:
        return None
    keys: set[str] = set()
    relations: list[str] = []
    identifiers: set[str] = set()
    for node in tree.walk():
        keys.add(node.key)
        if node.key == "identifier":
            identifiers.add(_kept(str(node.this)).lower())
        elif node.key == "table":
            relations.append(str(node.name).lower())
    if "command" in keys:
        return None
    return SecondView(not keys & _CHANGES, tuple(relations), frozenset(identifiers))


def _kept(name: str) -> str:
    """What PostgreSQL keeps of a name, and its parser shows (manual, section "Identifiers and Key Words")."""
    return name.encode("utf-8", "surrogatepass")[:MAX_IDENTIFIER_BYTES].decode(errors="ignore")


def disagreement(facts: Facts, view: SecondView) -> tuple[str, Name | None] | None:
    """What the two parsers do not agree about, in words, with the exact parser's name where there is one."""
    changes = [command for command in facts.commands if command.klass is not StatementClass.READ]
    explains = any(command.name == "EXPLAIN" for command in facts.commands)
    if not explains and view.reads_only == bool(changes):
        return "one sees a change, the other only reading", None
    if facts.commands[0].name in _WITH_BODIES:
        return None
    for name in facts.names:
        if name.kind is NameKind.RELATION and name.name.lower() not in view.identifiers:
            return f"one does not see {name.text}", name
    return None
