"""Changes of rows, and whether they reach every row: UPDATE, DELETE and MERGE that no column narrows down."""

from typing import Any, Final

from agentdb_mcp.core.guard.collector import Collector, Handler, Step
from agentdb_mcp.core.guard.destruction import lost, relation_path
from agentdb_mcp.core.guard.facts import Extent, Feature, Loss

_NESTED: Final = frozenset({"UpdateStmt", "DeleteStmt", "MergeStmt"})
"""Changes inside a condition: they are looked at for themselves, so that each node is seen once."""
_TELLS_ROWS_APART: Final = frozenset({"ColumnRef", "CurrentOfExpr"})
_ACTS: Final = {Feature.UPDATE_ALL: "UPDATE", Feature.DELETE_ALL: "DELETE"}
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


def _change(feature: Feature) -> Handler:
    def found(collector: Collector, step: Step) -> None:
        _changed(collector, step, feature, narrow=_names_a_column(step.body.get("whereClause")))

    return found


def _merged(collector: Collector, step: Step) -> None:
    """A clause for the rows that a constant ON picks, or for all rows that the source lacks."""
    picks = _names_a_column(step.body.get("joinCondition"))
    for node in step.body.get("mergeWhenClauses", []):
        clause = node.get("MergeWhenClause", {})
        feature = _FEATURES.get(str(clause.get("commandType")))
        matched = picks and clause.get("matchKind") == "MERGE_WHEN_MATCHED"
        if feature is not None:
            _changed(collector, step, feature, narrow=matched or _names_a_column(clause.get("condition")))


def _changed(collector: Collector, step: Step, feature: Feature, *, narrow: bool) -> None:
    relation = step.body.get("relation", {})
    if not narrow:
        collector.trait(feature, str(relation.get("relname", "")), relation.get("location", step.at))
    extent = Extent.SOME if narrow else Extent.ROWS
    lost(collector, step, Loss(_ACTS[feature], relation_path(relation), extent))


SWEEP_HANDLERS: Final[dict[str, Handler]] = {
    "UpdateStmt": _change(Feature.UPDATE_ALL),
    "DeleteStmt": _change(Feature.DELETE_ALL),
    "MergeStmt": _merged,
}
"""By node type."""
