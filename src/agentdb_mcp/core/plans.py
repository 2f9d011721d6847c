"""PostgreSQL's plan of a statement, told in few lines: where its cost lies, and what looks like a mistake.

The fields are those of EXPLAIN (FORMAT JSON); costs are the planner's own units (manual, "Using EXPLAIN").
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MOST_NODES: Final = 40
"""Nodes of a plan that are told."""

_LONGEST_CONDITION: Final = 120
_MUCH: Final = 1_000.0
"""Units of cost below which nothing is worth a warning: a few milliseconds."""

_MANY: Final = 10_000
_CONDITIONS: Final = ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter")
_JOINS: Final = ("Nested Loop", "Hash Join", "Merge Join")


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan."""

    depth: int
    name: str
    """E.g. `Seq Scan`."""
    on: str | None
    """The table or index it reads."""
    rows: int
    cost: float
    """With all below it, once."""
    share: float
    """Of the whole plan's cost, without what is below it: 0 to 1."""
    condition: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner expects of a statement."""

    cost: float
    rows: int
    row_bytes: int
    """Of one row, on average."""
    steps: tuple[Step, ...]
    """From the top, the first forty."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """What a unit of cost means on one server."""

    milliseconds: float
    """For a unit, with everything in memory."""
    work_memory: int
    """Bytes a sort may take before it goes to disk."""

    def expected(self, cost: float) -> tuple[float, float]:
        """From and to how many milliseconds: what comes from disk, and a planner that errs, take longer."""
        return cost * self.milliseconds / 2, cost * self.milliseconds * 10


def read_plan(text: str, work_memory: int) -> Plan:
    """The plan that PostgreSQL gave as JSON. Raises ValueError for anything else."""
    try:
        top: dict[str, Any] = json.loads(text)[0]["Plan"]
        whole = max(float(top["Total Cost"]), 0.01)
        nodes = list(_walk(top, 0))
        return Plan(
            cost=float(top["Total Cost"]),
            rows=int(top["Plan Rows"]),
            row_bytes=int(top["Plan Width"]),
            steps=tuple(_step(node, depth, whole) for depth, node in nodes[:MOST_NODES]),
            warnings=tuple(
                dict.fromkeys(word for _, node in nodes for word in _warnings(node, whole, work_memory))
            ),
        )
    except (KeyError, TypeError, LookupError) as error:
        raise ValueError("not a plan") from error


def _walk(node: dict[str, Any], depth: int) -> Iterator[tuple[int, dict[str, Any]]]:
    yield depth, node
    for below in node.get("Plans", ()):
        yield from _walk(below, depth + 1)


def _step(node: dict[str, Any], depth: int, whole: float) -> Step:
    condition = next((str(node[name]) for name in _CONDITIONS if name in node), None)
    if condition is not None and len(condition) > _LONGEST_CONDITION:
        condition = f"{condition[:_LONGEST_CONDITION]}…"
    return Step(
        depth=depth,
        name=_name(node),
        on=node.get("Relation Name") or node.get("Function Name") or node.get("CTE Name"),
        rows=int(node["Plan Rows"]),
        cost=float(node["Total Cost"]),
        share=_own_cost(node) / whole,
        condition=condition,
    )


def _name(node: dict[str, Any]) -> str:
    return str(node.get("Operation", node["Node Type"])) if _changes(node) else str(node["Node Type"])


def _changes(node: dict[str, Any]) -> bool:
    return node["Node Type"] == "ModifyTable"


def _own_cost(node: dict[str, Any]) -> float:
    """Its cost less that of what is below; the inner side of a loop counts as often as it is run."""
    below = node.get("Plans", ())
    times = [_repeats(node, below) if place == 1 else 1.0 for place in range(len(below))]
    spent = sum(float(each["Total Cost"]) * often for each, often in zip(below, times, strict=True))
    return max(float(node["Total Cost"]) - spent, 0.0)


def _repeats(node: dict[str, Any], below: list[dict[str, Any]]) -> float:
    return max(float(below[0]["Plan Rows"]), 1.0) if node["Node Type"] == "Nested Loop" else 1.0


def _warnings(node: dict[str, Any], whole: float, work_memory: int) -> Iterator[str]:
    cost, name = float(node["Total Cost"]), node["Node Type"]
    if name == "Seq Scan" and "Filter" in node and cost > _MUCH and cost > whole / 5:
        yield f"reads all of {node['Relation Name']} for {_condition(node)}: an index may spare most of it"
    if name in _JOINS and _is_cross(node):
        yield "joins every row with every row: a condition between the two sides seems to be missing"
    elif name == "Nested Loop" and _repeats(node, node["Plans"]) > _MANY and cost > _MUCH:
        times = _repeats(node, node["Plans"])
        yield f"repeats a step {times:,.0f} times: an index on the inner side, or fewer rows, may help"
    size = int(node["Plan Rows"]) * int(node["Plan Width"])
    if name == "Sort" and size > work_memory:
        yield f"sorts about {size / 1e6:,.0f} MB, on disk: fewer rows or columns, or an index in that order"


def _condition(node: dict[str, Any]) -> str:
    return str(node["Filter"])[:_LONGEST_CONDITION]


def _is_cross(node: dict[str, Any]) -> bool:
    """About as many rows as both sides give when multiplied, and many."""
    sides = [max(float(side["Plan Rows"]), 1.0) for side in node.get("Plans", ())[:2]]
    product = sides[0] * sides[-1]
    return min(sides) > 1 and product > 10 * _MANY and float(node["Plan Rows"]) > 0.3 * product
