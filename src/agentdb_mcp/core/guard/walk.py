"""The walk over an exact tree: iterative, driven by the grammar's table.

For each node type a plan is made once: what to call, and what each of its fields is. A type or field that is
not in the table is a trait of its own, and every policy refuses it.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from agentdb_mcp.core.guard import grammar
from agentdb_mcp.core.guard.collector import Collector, Handler, Scope, Step
from agentdb_mcp.core.guard.destruction import LOSS_HANDLERS
from agentdb_mcp.core.guard.explain import analyzes
from agentdb_mcp.core.guard.facts import Access, Feature, NameKind
from agentdb_mcp.core.guard.handlers import HANDLERS, statement
from agentdb_mcp.core.guard.naming import FROM_ITEMS, NAMES, RELATION_ACCESS, path_of
from agentdb_mcp.core.guard.statements import is_statement

LEAVES: Final = frozenset(
    {"String", "Integer", "Float", "Boolean", "BitString", "A_Const", "A_Star", "ColumnRef", "ParamRef"}
)
"""Types under which there is nothing to find: most of a tree's nodes, so they are not visited."""


class _Child(NamedTuple):
    """A field to descend into."""

    form: str
    access: Access


class _Plan(NamedTuple):
    """What to do at a node of one type."""

    handlers: tuple[Handler, ...]
    located: bool
    plain: frozenset[str]
    names: dict[str, tuple[NameKind, Access]]
    children: dict[str, _Child]


@cache
def plans() -> dict[str, _Plan]:
    """The plan of every node type of the grammar."""
    return {tag: _plan(tag, fields) for tag, fields in grammar.node_types().items()}


def _plan(tag: str, fields: dict[str, str]) -> _Plan:
    meant = tuple(known[tag] for known in (HANDLERS, LOSS_HANDLERS) if tag in known)
    handlers = ((statement,) if is_statement(tag) else ()) + meant
    names = {field: NAMES[tag, field] for field in fields if (tag, field) in NAMES}
    children = {
        field: _Child(form, RELATION_ACCESS.get((tag, field), Access.READ))
        for field, form in fields.items()
        if form != grammar.PLAIN and field not in names and (tag, field) not in FROM_ITEMS
    }
    plain = frozenset(fields.keys() - names.keys() - children.keys())
    located = "location" in fields and tag != "CreateTableSpaceStmt"  # there it is a folder of the server's
    return _Plan(handlers, located, plain, names, children)


def walk(collector: Collector, root: Step) -> None:
    """Visit the node and everything under it, in the order of the text as far as the tree keeps it."""
    known = plans()
    pending = [root]
    while pending:
        step = pending.pop()
        plan = known.get(step.tag)
        if plan is None:
            collector.trait(Feature.UNKNOWN_NODE, step.tag, step.at)
            continue
        pending.extend(reversed(_visited(collector, step, plan)))


def _visited(collector: Collector, step: Step, plan: _Plan) -> list[Step]:
    """Note what stands at this node; its children are still to be visited."""
    _place(step, plan)
    collector.depth = max(collector.depth, step.depth)
    for handler in plan.handlers:
        handler(collector, step)
    children: list[Step] = []
    for field, value in step.body.items():
        if field in plan.plain:
            continue
        child, role = plan.children.get(field), plan.names.get(field)
        if child is not None:
            children.extend(_children(step, child, value))
        elif role is not None:
            collector.name(role[0], path_of(value), role[1], step.at)
        else:
            collector.trait(Feature.UNKNOWN_NODE, f"{step.tag}.{field}", step.at)
    return children


def _place(step: Step, plan: _Plan) -> None:
    """Give the step its own place and, at a statement with WITH, the names of its queries."""
    at = step.body.get("location", 0) if plan.located else -1
    if at >= 0:
        step.at = at
    clause = step.body.get("withClause")
    if clause:
        names = _cte_names(clause["ctes"])
        order = {name: index for index, name in reversed(list(enumerate(names)))}
        step.ctes = Scope(order, len(names), step.ctes)


def _children(step: Step, child: _Child, value: Any) -> Iterator[Step]:
    if step.tag == "WithClause":
        yield from _ctes(step, value)
        return
    executed = step.executed and (step.tag != "ExplainStmt" or analyzes(step.body))
    at, depth, ctes, access, parent = step.at, step.depth + 1, step.ctes, child.access, step.tag
    if child.form not in {grammar.LIST, grammar.NODE}:
        yield Step(child.form, value, at, depth, ctes, access, parent, executed)
        return
    for item in value if child.form == grammar.LIST else (value,):
        for tag, body in item.items():
            if tag not in LEAVES:
                yield Step(tag, body, at, depth, ctes, access, parent, executed)


def _cte_names(ctes: list[Any]) -> list[str]:
    return [str(cte["CommonTableExpr"]["ctename"]) for cte in ctes]


def _ctes(step: Step, ctes: list[Any]) -> Iterator[Step]:
    """A query of WITH sees the ones before it, and all of them under RECURSIVE."""
    for index, cte in enumerate(ctes):
        seen, query = step.ctes, cte["CommonTableExpr"]
        if seen is not None and not step.body.get("recursive"):
            seen = seen._replace(visible=index)
        yield Step(
            "CommonTableExpr", query, step.at, step.depth + 1, seen, Access.READ, step.tag, step.executed
        )
