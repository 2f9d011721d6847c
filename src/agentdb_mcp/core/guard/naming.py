"""Which fields of the grammar hold names, and of what: data for the walk.

`tests/unit/guard/test_naming.py` proves that every text field of every node type that a policy can allow is
either here or listed there as harmless, with the reason.
"""

from typing import Any, Final

from agentdb_mcp.core.guard.facts import Access, NameKind

_READ, _WRITE, _DEFINE = Access.READ, Access.WRITE, Access.DEFINE

RELATION_ACCESS: Final[dict[tuple[str, str], Access]] = {
    ("InsertStmt", "relation"): _WRITE,
    ("UpdateStmt", "relation"): _WRITE,
    ("DeleteStmt", "relation"): _WRITE,
    ("MergeStmt", "relation"): _WRITE,
    ("TruncateStmt", "relations"): _WRITE,
    ("LockStmt", "relations"): _WRITE,
    ("IntoClause", "rel"): _DEFINE,
    ("CreateStmt", "relation"): _DEFINE,
    ("AlterTableStmt", "relation"): _DEFINE,
    ("PartitionCmd", "name"): _DEFINE,
    ("IndexStmt", "relation"): _DEFINE,
    ("ViewStmt", "view"): _DEFINE,
    ("CreateTrigStmt", "relation"): _DEFINE,
    ("RuleStmt", "relation"): _DEFINE,
    ("CreatePolicyStmt", "table"): _DEFINE,
    ("AlterPolicyStmt", "table"): _DEFINE,
    ("CreateSeqStmt", "sequence"): _DEFINE,
    ("AlterSeqStmt", "sequence"): _DEFINE,
    ("CompositeTypeStmt", "typevar"): _DEFINE,
    ("RenameStmt", "relation"): _DEFINE,
    ("AlterObjectSchemaStmt", "relation"): _DEFINE,
    ("AlterObjectDependsStmt", "relation"): _DEFINE,
    ("AlterOwnerStmt", "relation"): _DEFINE,
    ("RefreshMatViewStmt", "relation"): _DEFINE,
    ("ReindexStmt", "relation"): _DEFINE,
    ("ClusterStmt", "relation"): _DEFINE,
    ("VacuumRelation", "relation"): _DEFINE,
    ("CreateStatsStmt", "relations"): _DEFINE,
    ("GrantStmt", "objects"): _DEFINE,
}
"""Fields that hold a relation which is not merely read."""

FROM_ITEMS: Final = frozenset({("LockingClause", "lockedRels")})
"""Fields that repeat names of the same query's FROM."""

NAMES: Final[dict[tuple[str, str], tuple[NameKind, Access]]] = {
    ("CreateTrigStmt", "funcname"): (NameKind.FUNCTION, _READ),
    ("RangeTableSample", "method"): (NameKind.FUNCTION, _READ),
    ("TypeName", "names"): (NameKind.TYPE, _READ),
    ("A_Expr", "name"): (NameKind.OBJECT, _READ),
    ("SubLink", "operName"): (NameKind.OBJECT, _READ),
    ("SortBy", "useOp"): (NameKind.OBJECT, _READ),
    ("CollateClause", "collname"): (NameKind.OBJECT, _READ),
    ("IndexElem", "collation"): (NameKind.OBJECT, _READ),
    ("IndexElem", "opclass"): (NameKind.OBJECT, _READ),
    ("PartitionElem", "collation"): (NameKind.OBJECT, _READ),
    ("PartitionElem", "opclass"): (NameKind.OBJECT, _READ),
    ("CreateFunctionStmt", "funcname"): (NameKind.OBJECT, _DEFINE),
    ("DefineStmt", "defnames"): (NameKind.OBJECT, _DEFINE),
    ("CreateDomainStmt", "domainname"): (NameKind.OBJECT, _DEFINE),
    ("CreateEnumStmt", "typeName"): (NameKind.OBJECT, _DEFINE),
    ("CreateRangeStmt", "typeName"): (NameKind.OBJECT, _DEFINE),
    ("AlterEnumStmt", "typeName"): (NameKind.OBJECT, _DEFINE),
    ("AlterDomainStmt", "typeName"): (NameKind.OBJECT, _DEFINE),
    ("AlterTypeStmt", "typeName"): (NameKind.OBJECT, _DEFINE),
    ("AlterCollationStmt", "collname"): (NameKind.OBJECT, _DEFINE),
    ("CreateStatsStmt", "defnames"): (NameKind.OBJECT, _DEFINE),
    ("AlterStatsStmt", "defnames"): (NameKind.OBJECT, _DEFINE),
    ("AlterTSDictionaryStmt", "dictname"): (NameKind.OBJECT, _DEFINE),
    ("AlterTSConfigurationStmt", "cfgname"): (NameKind.OBJECT, _DEFINE),
    ("CreateSchemaStmt", "schemaname"): (NameKind.SCHEMA, _DEFINE),
    ("AlterObjectSchemaStmt", "newschema"): (NameKind.SCHEMA, _DEFINE),
    ("RoleSpec", "rolename"): (NameKind.ROLE, _READ),
    ("IntoClause", "tableSpaceName"): (NameKind.TABLESPACE, _READ),
    ("CreateStmt", "tablespacename"): (NameKind.TABLESPACE, _READ),
    ("IndexStmt", "tableSpace"): (NameKind.TABLESPACE, _READ),
    ("Constraint", "indexspace"): (NameKind.TABLESPACE, _READ),
    ("CreateExtensionStmt", "extname"): (NameKind.EXTENSION, _READ),
    ("VariableShowStmt", "name"): (NameKind.SETTING, _READ),
}
"""Fields whose whole content is one name."""


def path_of(value: Any) -> tuple[str, ...]:
    """The dotted name in a field: a text, a node, or a list of text nodes; other nodes have no name."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        parts = [path_of(item) for item in value]
        return tuple(part[0] for part in parts if len(part) == 1)
    match value:
        case {"String": {"sval": str(text)}} | {"sval": str(text)}:
            return (text,)
        case {"List": {"items": list(names)}} | {"TypeName": {"names": list(names)}}:
            return path_of(names)
        case _:
            return ()
