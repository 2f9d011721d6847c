"""What the nodes of definitions mean beyond the names in their fields."""

from typing import Any, Final

from agentdb_mcp.core.guard.collector import Collector, Handler, Step
from agentdb_mcp.core.guard.facts import Access, Feature, NameKind
from agentdb_mcp.core.guard.naming import path_of


def _cascading(collector: Collector, step: Step) -> None:
    if step.body.get("behavior") == "DROP_CASCADE":
        collector.trait(Feature.CASCADE, "CASCADE", step.at)


def _dropped(collector: Collector, step: Step) -> None:
    _cascading(collector, step)
    kind = str(step.body.get("removeType", step.body.get("objtype", "")))
    for node in step.body.get("objects", [step.body.get("object", {})]):
        _object(collector, step, kind, node)


def _renamed(collector: Collector, step: Step) -> None:
    kind = str(step.body.get("renameType", step.body.get("objectType", "")))
    if kind == "OBJECT_SCHEMA":
        collector.name(NameKind.SCHEMA, path_of(step.body.get("subname")), Access.WRITE, step.at)
        collector.name(NameKind.SCHEMA, path_of(step.body.get("newname")), Access.DEFINE, step.at)
    _object(collector, step, kind, step.body.get("object", {}))


_ON_RELATION: Final = frozenset(
    {"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"}
)
_RELATIONS: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE"}
)


def _object(collector: Collector, step: Step, kind: str, node: Any) -> None:
    """The thing a DROP, COMMENT or ALTER names, whichever shape its name has."""
    path = object_path(node)
    if kind == "OBJECT_SCHEMA":
        gone = step.tag == "DropStmt"
        collector.name(NameKind.SCHEMA, path, Access.WRITE if gone else Access.DEFINE, step.at)
    elif kind in _ON_RELATION:
        collector.name(NameKind.RELATION, path[:-1], Access.DEFINE, step.at)
    else:
        role = NameKind.RELATION if kind in _RELATIONS else NameKind.OBJECT
        collector.name(role, path, Access.DEFINE, step.at)


def object_path(node: Any) -> tuple[str, ...]:
    """The name of the thing that a DROP, COMMENT or ALTER is about."""
    if isinstance(node, dict) and "ObjectWithArgs" in node:
        return path_of(node["ObjectWithArgs"].get("objname", []))
    return path_of(node)


def _definition(collector: Collector, step: Step) -> None:
    """Aggregates, operators and range types name functions in options: every name there counts as a call."""
    for field in ("definition", "params", "options"):
        for option in step.body.get(field, []):
            element = option.get("DefElem", {})
            at = element.get("location", step.at)
            collector.name(NameKind.FUNCTION, path_of(element.get("arg")), Access.READ, at)


def _cast(collector: Collector, step: Step) -> None:
    function = step.body.get("func")
    if function:
        collector.name(NameKind.FUNCTION, path_of(function.get("objname", [])), Access.READ, step.at)


_HARMLESS_ALTER: Final = """
    AddColumn ColumnDefault DropNotNull SetNotNull SetExpression DropExpression SetStatistics SetOptions
    ResetOptions SetStorage SetCompression DropColumn AddConstraint AlterConstraint ValidateConstraint
    AddIndexConstraint DropConstraint AlterColumnType ChangeOwner ClusterOn DropCluster SetLogged
    SetUnLogged SetRelOptions ResetRelOptions EnableTrig DisableTrig EnableTrigUser DisableTrigUser
    EnableTrigAll DisableTrigAll EnableRule DisableRule AddInherit DropInherit AddOf DropOf
    ReplicaIdentity EnableRowSecurity DisableRowSecurity ForceRowSecurity NoForceRowSecurity
    AttachPartition DetachPartition DetachPartitionFinalize AddIdentity SetIdentity DropIdentity
"""
_ALLOWED_ACTIONS: Final = frozenset(f"AT_{name}" for name in _HARMLESS_ALTER.split())
"""Left out: access methods, foreign options, and triggers or rules that fire under replication."""


def _alter(collector: Collector, step: Step) -> None:
    _cascading(collector, step)
    action = str(step.body.get("subtype"))
    if action == "AT_SetTableSpace":
        collector.name(NameKind.TABLESPACE, path_of(step.body.get("name")), Access.READ, step.at)
    elif action not in _ALLOWED_ACTIONS:
        collector.trait(Feature.ALTER_ACTION, action.removeprefix("AT_"), step.at)


def _option(collector: Collector, step: Step) -> None:
    if step.body.get("defname") == "tablespace":
        collector.name(NameKind.TABLESPACE, path_of(step.body.get("arg")), Access.READ, step.at)
    if step.body.get("defname") == "schema" and step.parent == "CreateExtensionStmt":
        collector.name(NameKind.SCHEMA, path_of(step.body.get("arg")), Access.READ, step.at)


def _reindex(collector: Collector, step: Step) -> None:
    kind = str(step.body.get("kind"))
    if kind == "REINDEX_OBJECT_SCHEMA":
        collector.name(NameKind.SCHEMA, path_of(step.body.get("name")), Access.DEFINE, step.at)
    elif kind not in {"REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_INDEX"}:
        collector.trait(Feature.WHOLE_DATABASE, kind.removeprefix("REINDEX_OBJECT_"), step.at)


def _routine(collector: Collector, step: Step) -> None:
    options = [option.get("DefElem", {}) for option in step.body.get("options", step.body.get("args", []))]
    language, text = "sql" if "sql_body" in step.body else "plpgsql", None
    for element in options:
        name, argument = element.get("defname"), element.get("arg")
        if name == "language":
            language = "".join(path_of(argument))
        elif name == "as":
            text = _only(path_of(argument))
        elif name == "security" and argument.get("Boolean", {}).get("boolval"):
            collector.trait(Feature.SECURITY_DEFINER, "SECURITY DEFINER", element.get("location", step.at))
        elif name == "support":
            collector.name(NameKind.FUNCTION, path_of(argument), Access.READ, step.at)
    collector.name(NameKind.LANGUAGE, (language,), Access.READ, step.at)
    if "sql_body" not in step.body:
        collector.routine(language, text, step, executed=step.tag == "DoStmt")


def _only(parts: tuple[str, ...]) -> str | None:
    return parts[0] if len(parts) == 1 else None


def _altered_function(collector: Collector, step: Step) -> None:
    _object(collector, step, "OBJECT_FUNCTION", {"ObjectWithArgs": step.body.get("func", {})})
    for option in step.body.get("actions", []):
        element = option.get("DefElem", {})
        argument = element.get("arg")
        if element.get("defname") == "security" and argument.get("Boolean", {}).get("boolval"):
            collector.trait(Feature.SECURITY_DEFINER, "SECURITY DEFINER", element.get("location", step.at))
        if element.get("defname") == "support":
            collector.name(NameKind.FUNCTION, path_of(argument), Access.READ, step.at)


DEFINITION_HANDLERS: Final[dict[str, Handler]] = {
    "TruncateStmt": _cascading,
    "DropStmt": _dropped,
    "CommentStmt": _dropped,
    "RenameStmt": _renamed,
    "AlterObjectSchemaStmt": _renamed,
    "AlterOwnerStmt": _renamed,
    "DefineStmt": _definition,
    "CreateRangeStmt": _definition,
    "AlterOperatorStmt": _definition,
    "AlterTypeStmt": _definition,
    "CreateCastStmt": _cast,
    "AlterTableCmd": _alter,
    "DefElem": _option,
    "ReindexStmt": _reindex,
    "CreateFunctionStmt": _routine,
    "DoStmt": _routine,
    "AlterFunctionStmt": _altered_function,
}
