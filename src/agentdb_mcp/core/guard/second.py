"""The second opinion: sqlglot, the only door to it. Asked where it is quick, heeded where it has a tree."""

from dataclasses import dataclass
from typing import Any, Final

from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.facts import Facts, Name, NameKind
from agentdb_mcp.core.guard.policy import SecondOpinion

_OPENERS: Final = frozenset({"L_PAREN", "L_BRACKET", "L_BRACE"})
_CLOSERS: Final = frozenset({"R_PAREN", "R_BRACKET", "R_BRACE"})


@dataclass(frozen=True, slots=True)
class SecondView:
    """What sqlglot saw."""

    reads_only: bool
    relations: frozenset[str]
    identifiers: frozenset[str]


def second_view(sql: str, limits: SecondOpinion) -> SecondView | None:
    """Sqlglot's view; None when it has none, or is not asked because it could take long."""
    if not limits.enabled or len(sql) > limits.max_bytes or sql.count("[") > limits.max_subscripts:
        return None
    from sqlglot.errors import SqlglotError

    try:
        return _view(sql, limits)
    except (SqlglotError, RecursionError, TypeError, AttributeError, ValueError, KeyError, IndexError):
        return None


def _view(sql: str, limits: SecondOpinion) -> SecondView | None:
    from sqlglot.dialects.postgres import Postgres

    dialect = Postgres()
    tokens = dialect.tokenize(sql)
    if len(tokens) > limits.max_tokens or _depth(tokens) > limits.max_depth:
        return None
    trees = [tree for tree in dialect.parser().parse(tokens, sql) if tree is not None]
    return _seen(trees[0]) if len(trees) == 1 else None


def _depth(tokens: list[Any]) -> int:
    depth = deepest = 0
    for token in tokens:
        kind = token.token_type.name
        depth += (kind in _OPENERS) - (kind in _CLOSERS)
        deepest = max(deepest, depth)
    return deepest


def _seen(tree: Any) -> SecondView | None:
    from sqlglot import exp

    if isinstance(tree, exp.Command) or tree.find(exp.Command):
        return None
    if not isinstance(
        tree, exp.Query | exp.DML | exp.DDL | exp.Merge | exp.TruncateTable | exp.Drop | exp.Alter
    ):
        return None
    writes = (exp.DML, exp.DDL, exp.Merge, exp.TruncateTable, exp.Drop, exp.Alter, exp.Into, exp.Lock)
    changing = [found for found in tree.find_all(*writes) if not isinstance(found, exp.Query)]
    identifiers = frozenset(str(found.this).lower() for found in tree.find_all(exp.Identifier))
    relations = frozenset(
        str(table.name).lower()
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
    )
    return SecondView(not changing, relations, identifiers)


def disagreement(facts: Facts, view: SecondView) -> tuple[str, Name | None] | None:
    """What the two parsers do not agree about, in words, with the exact parser's name where there is one."""
    exact_reads = facts.klass is StatementClass.READ
    if view.reads_only and not exact_reads and not _writes_by_function(facts):
        return "one sees a change, the other only reading", None
    if exact_reads and not view.reads_only and facts.commands[0].name == "SELECT":
        return "one sees a change, the other only reading", None
    for name in facts.names:
        if name.kind is NameKind.RELATION and name.name.lower() not in view.identifiers:
            return f"one does not see {name.text}", name
    return None


def _writes_by_function(facts: Facts) -> bool:
    return all(command.klass is StatementClass.READ for command in facts.commands)
