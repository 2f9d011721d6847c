"""Changes that reach every row of a table: UPDATE, DELETE and MERGE that no column narrows down."""

from typing import Any, Final

from agentdb_mcp.core.guard.collector import Collector, Handler, Step
from agentdb_mcp.core.guard.facts import Feature

_NESTED: Final = frozenset({"UpdateStmt", "DeleteStmt", "MergeStmt"})
"""Changes inside a condition: they are looked at for themselves, so that each node is seen once."""
_TELLS_ROWS_APART: Final = frozenset({"ColumnRef", "CurrentOfExpr"})
_FEATURES: Final = {"CMD_UPDATE": Feature.UPDATE_ALL, "CMD_DELETE": Feature.DELETE_ALL}


def _names_a_column(condition: Any) -> bool:
    """Whether it can differ from row to row: `true`, `1 = 1`, `$1` and EXISTS (SELECT 1) do not."""
    pending = [condition]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            if not _TELLS_ROWS_APART.isdisjoint(node):
                return True
            pending.extend(value for tag, value in node.items() if tag not in _NESTED)
    return False


def _unfiltered(feature: Feature) -> Handler:
    def found(collector: Collector, step: Step) -> None:
        if not _names_a_column(step.body.get("whereClause")):
            _swept(collector, step, feature)

    return found


def _merged(collector: Collector, step: Step) -> None:
    """A clause for the rows that a constant ON picks, or for all rows that the source lacks."""
    picks = _names_a_column(step.body.get("joinCondition"))
    for node in step.body.get("mergeWhenClauses", []):
        clause = node.get("MergeWhenClause", {})
        feature = _FEATURES.get(str(clause.get("commandType")))
        narrow = picks and clause.get("matchKind") == "MERGE_WHEN_MATCHED"
        if feature is not None and not narrow and not _names_a_column(clause.get("condition")):
            _swept(collector, step, feature)


def _swept(collector: Collector, step: Step, feature: Feature) -> None:
    relation = step.body.get("relation", {})
    collector.trait(feature, str(relation.get("relname", "")), relation.get("location", step.at))


SWEEP_HANDLERS: Final[dict[str, Handler]] = {
    "UpdateStmt": _unfiltered(Feature.UPDATE_ALL),
    "DeleteStmt": _unfiltered(Feature.DELETE_ALL),
    "MergeStmt": _merged,
}
"""By node type."""
