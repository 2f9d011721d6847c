"""What single node types mean beyond the names in their fields."""

from collections.abc import Callable
from typing import Any, Final

from agentdb_mcp.core.guard import statements
from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.collector import Collector, Step
from agentdb_mcp.core.guard.facts import Access, Feature, NameKind
from agentdb_mcp.core.guard.naming import path_of

Handler = Callable[[Collector, Step], None]

_WRITING_FUNCTIONS: Final = frozenset({"nextval", "setval"})
"""Built-in functions without a refusal that change something."""


def statement(collector: Collector, step: Step) -> None:
    """A command; plain SELECTs within another command are part of it."""
    if step.tag == "VariableSetStmt" and step.parent == "DefElem":
        collector.name(NameKind.SETTING, (str(step.body.get("name", "all")),), Access.ROUTINE, step.at)
        return
    found = _select(step) if step.tag == "SelectStmt" else statements.command(step.tag, step.body)
    if found is None:
        collector.trait(Feature.UNKNOWN_NODE, step.tag, step.at)
        return
    if found != ("SELECT", StatementClass.READ) or step.parent in {"", "ExplainStmt"}:
        collector.command(*found, step)


def _select(step: Step) -> statements.Command:
    if "intoClause" in step.body:
        return "SELECT INTO", StatementClass.DDL
    if "lockingClause" in step.body:
        return "SELECT FOR UPDATE", StatementClass.WRITE
    return "SELECT", StatementClass.READ


def _relation(collector: Collector, step: Step) -> None:
    parts = (step.body.get("catalogname"), step.body.get("schemaname"), step.body.get("relname"))
    path = tuple(str(part) for part in parts if part is not None)
    if step.body.get("relpersistence") == "t":
        collector.trait(Feature.TEMPORARY, ".".join(path), step.at)
    if not _is_cte(step, path):
        collector.name(NameKind.RELATION, path, step.access, step.at)


def _is_cte(step: Step, path: tuple[str, ...]) -> bool:
    """Names of the system's catalogs get no exemption: a WITH query of that name may read the catalog."""
    return (
        len(path) == 1
        and step.access is Access.READ
        and path[0] in step.ctes
        and not path[0].startswith("pg_")
    )


def _call(collector: Collector, step: Step) -> None:
    path = path_of(step.body.get("funcname", []))
    collector.name(NameKind.FUNCTION, path, Access.READ, step.at, _constant(step.body.get("args", [])))
    if path and path[-1] in _WRITING_FUNCTIONS:
        collector.raise_class(StatementClass.WRITE, step)


def _constant(arguments: list[Any]) -> str | None:
    """The first argument as text, when it is a string constant, cast or not."""
    node = arguments[0] if arguments else {}
    while "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    value = node.get("A_Const", {}).get("sval")
    return str(value.get("sval", "")) if isinstance(value, dict) else None


def _unfiltered(feature: Feature) -> Handler:
    def found(collector: Collector, step: Step) -> None:
        if "whereClause" not in step.body:
            relation = step.body.get("relation", {})
            collector.trait(feature, str(relation.get("relname", "")), relation.get("location", step.at))

    return found


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
    path = _object_path(node)
    if kind == "OBJECT_SCHEMA":
        gone = step.tag == "DropStmt"
        collector.name(NameKind.SCHEMA, path, Access.WRITE if gone else Access.DEFINE, step.at)
    elif kind in _ON_RELATION:
        collector.name(NameKind.RELATION, path[:-1], Access.DEFINE, step.at)
    else:
        role = NameKind.RELATION if kind in _RELATIONS else NameKind.OBJECT
        collector.name(role, path, Access.DEFINE, step.at)


def _object_path(node: Any) -> tuple[str, ...]:
    if isinstance(node, dict) and "ObjectWithArgs" in node:
        return path_of(node["ObjectWithArgs"].get("objname", []))
    return path_of(node)


def _definition(collector: Collector, step: Step) -> None:
    """Aggregates, operators and range types name their functions in options: every name there counts as a call."""
    for field in ("definition", "params", "options"):
        for option in step.body.get(field, []):
            element = option.get("DefElem", {})
            at = element.get("location", step.at)
            collector.name(NameKind.FUNCTION, path_of(element.get("arg")), Access.READ, at)


def _cast(collector: Collector, step: Step) -> None:
    function = step.body.get("func")
    if function:
        collector.name(NameKind.FUNCTION, path_of(function.get("objname", [])), Access.READ, step.at)


_HARMLESS_ALTER: Final = frozenset(
    ["AT_AddColumn", "AT_ColumnDefault", "AT_DropNotNull", "AT_SetNotNull", "AT_SetExpression", "AT_DropExpression", "AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetStorage", "AT_SetCompression", "AT_DropColumn", "AT_AddConstraint", "AT_AlterConstraint", "AT_ValidateConstraint", "AT_AddIndexConstraint", "AT_DropConstraint", "AT_AlterColumnType", "AT_ChangeOwner", "AT_ClusterOn", "AT_DropCluster", "AT_SetLogged", "AT_SetUnLogged", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_EnableTrig", "AT_DisableTrig", "AT_EnableTrigUser", "AT_DisableTrigUser", "AT_EnableTrigAll", "AT_DisableTrigAll", "AT_EnableRule", "AT_DisableRule", "AT_AddInherit", "AT_DropInherit", "AT_AddOf", "AT_DropOf", "AT_ReplicaIdentity", "AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity", "AT_NoForceRowSecurity", "AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize", "AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity"]
)


def _alter(collector: Collector, step: Step) -> None:
    _cascading(collector, step)
    action = str(step.body.get("subtype"))
    if action == "AT_SetTableSpace":
        collector.name(NameKind.TABLESPACE, path_of(step.body.get("name")), Access.READ, step.at)
    elif action not in _HARMLESS_ALTER:
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
            language = "".join(path_of(argument)).lower()
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


HANDLERS: Final[dict[str, Handler]] = {
    "RangeVar": _relation,
    "FuncCall": _call,
    "UpdateStmt": _unfiltered(Feature.UPDATE_ALL),
    "DeleteStmt": _unfiltered(Feature.DELETE_ALL),
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
