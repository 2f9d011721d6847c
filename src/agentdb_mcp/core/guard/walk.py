"""The walk over an exact tree: iterative, driven by the grammar's table."""

from collections.abc import Iterator
from typing import Any

from agentdb_mcp.core.guard import grammar
from agentdb_mcp.core.guard.collector import Collector, Step
from agentdb_mcp.core.guard.explain import analyzes
from agentdb_mcp.core.guard.facts import Access, Feature
from agentdb_mcp.core.guard.handlers import HANDLERS, statement
from agentdb_mcp.core.guard.naming import NAMES, RELATION_ACCESS, path_of
from agentdb_mcp.core.guard.statements import is_statement


def walk(collector: Collector, root: Step) -> None:
    """Visit the node and everything under it, in the order of the text as far as the tree keeps it."""
    pending = [root]
    while pending:
        children = list(_visit(collector, pending.pop()))
        pending.extend(reversed(children))


def _visit(collector: Collector, step: Step) -> Iterator[Step]:
    fields = grammar.node_types().get(step.tag)
    if fields is None or not isinstance(step.body, dict):
        collector.trait(Feature.UNKNOWN_NODE, step.tag, step.at)
        return
    here = _with_ctes(step._replace(at=_location(step, fields)))
    collector.depth = max(collector.depth, here.depth)
    if is_statement(here.tag):
        statement(collector, here)
    handler = HANDLERS.get(here.tag)
    if handler is not None:
        handler(collector, here)
    for field, value in here.body.items():
        yield from _field(collector, here, fields.get(field), field, value)


def _location(step: Step, fields: dict[str, str]) -> int:
    at = step.body.get("location", 0) if "location" in fields else -1
    return at if isinstance(at, int) and at >= 0 else step.at


def _with_ctes(step: Step) -> Step:
    clause = step.body.get("withClause")
    return step._replace(ctes=step.ctes.union(_cte_names(clause["ctes"]))) if clause else step


def _cte_names(ctes: list[Any]) -> list[str]:
    return [str(cte["CommonTableExpr"]["ctename"]) for cte in ctes]


def _field(collector: Collector, step: Step, form: str | None, field: str, value: Any) -> Iterator[Step]:
    if form is None:
        collector.trait(Feature.UNKNOWN_NODE, f"{step.tag}.{field}", step.at)
        return
    role = NAMES.get((step.tag, field))
    if role is not None:
        collector.name(role[0], path_of(value), role[1], step.at)
        return
    if form == grammar.PLAIN:
        return
    if step.tag == "WithClause":
        yield from _ctes(step, value)
        return
    below = _below(step, field)
    if form not in {grammar.LIST, grammar.NODE}:
        yield below._replace(tag=form, body=value)
        return
    for item in value if form == grammar.LIST else [value]:
        yield from _tagged(below, item)


def _below(step: Step, field: str) -> Step:
    access = RELATION_ACCESS.get((step.tag, field), Access.READ)
    executed = step.executed and (step.tag != "ExplainStmt" or analyzes(step.body))
    return step._replace(depth=step.depth + 1, access=access, parent=step.tag, executed=executed)


def _tagged(step: Step, item: Any) -> Iterator[Step]:
    """A node is an object with one key, its type; an empty object is an element left out."""
    if not isinstance(item, dict) or len(item) > 1:
        yield step._replace(tag="(untagged)", body={})
        return
    for tag, body in item.items():
        yield step._replace(tag=tag, body=body)


def _ctes(step: Step, ctes: list[Any]) -> Iterator[Step]:
    """A query of WITH sees the ones before it, and all of them under RECURSIVE."""
    names = _cte_names(ctes)
    for index, cte in enumerate(ctes):
        unseen = () if step.body.get("recursive") else names[index:]
        yield from _tagged(_below(step, "ctes")._replace(ctes=step.ctes.difference(unseen)), cte)
