"""What is lost by a statement: what it drops, empties or overwrites, noted while the tree is walked.

A body that a statement only stores counts like one that it runs: when the routine is called later, the call
does not show what is in it.
"""

from typing import Any, Final

from agentdb_mcp.core.guard.collector import Collector, Handler, Step
from agentdb_mcp.core.guard.definitions import object_path
from agentdb_mcp.core.guard.facts import Extent, Loss
from agentdb_mcp.core.guard.statements import OBJECTS


def lost(collector: Collector, step: Step, loss: Loss) -> None:
    """Note it, unless it stands under a plain EXPLAIN, which runs nothing."""
    if step.executed or collector.nesting:
        collector.losses.append(loss)


def relation_path(relation: dict[str, Any]) -> tuple[str, ...]:
    """The name of a RangeVar, with its schema where it has one."""
    return tuple(str(relation[part]) for part in ("schemaname", "relname") if part in relation)


def _dropped(collector: Collector, step: Step) -> None:
    kind = str(step.body.get("removeType"))
    cascades = step.body.get("behavior") == "DROP_CASCADE"
    for node in step.body.get("objects", []):
        act = f"DROP {OBJECTS.get(kind, kind.removeprefix('OBJECT_'))}"
        lost(collector, step, Loss(act, object_path(node), Extent.THING, cascades=cascades))


def _emptied(collector: Collector, step: Step) -> None:
    cascades = step.body.get("behavior") == "DROP_CASCADE"
    for node in step.body.get("relations", []):
        path = relation_path(node.get("RangeVar", {}))
        lost(collector, step, Loss("TRUNCATE", path, Extent.ROWS, cascades=cascades))


def _altered(collector: Collector, step: Step) -> None:
    """A column that goes, or whose values are computed anew: USING may keep nothing of them."""
    table = relation_path(step.body.get("relation", {}))
    for node in step.body.get("cmds", []):
        command = node.get("AlterTableCmd", {})
        path = (*table, str(command.get("name", "")))
        cascades = command.get("behavior") == "DROP_CASCADE"
        if command.get("subtype") == "AT_DropColumn":
            lost(collector, step, Loss("DROP COLUMN", path, Extent.THING, cascades=cascades))
        elif command.get("subtype") == "AT_AlterColumnType" and _converts(command):
            lost(collector, step, Loss("ALTER COLUMN TYPE USING", path, Extent.THING))


def _converts(command: dict[str, Any]) -> bool:
    return "raw_default" in command.get("def", {}).get("ColumnDef", {})


def _upserted(collector: Collector, step: Step) -> None:
    if step.body.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
        path = relation_path(step.body.get("relation", {}))
        lost(collector, step, Loss("UPDATE", path, Extent.SOME))


LOSS_HANDLERS: Final[dict[str, Handler]] = {
    "DropStmt": _dropped,
    "TruncateStmt": _emptied,
    "AlterTableStmt": _altered,
    "InsertStmt": _upserted,
}
