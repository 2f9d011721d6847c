"""SQL's commands: what each statement node is called, and the class it belongs to."""

from typing import Any, Final

from agentdb_mcp.core.guard.classes import StatementClass

_READ: Final = StatementClass.READ
_WRITE: Final = StatementClass.WRITE
_DDL: Final = StatementClass.DDL
_MAINTENANCE: Final = StatementClass.MAINTENANCE
_SESSION: Final = StatementClass.SESSION
_SERVER: Final = StatementClass.SERVER

NAMED: Final[dict[str, tuple[str, StatementClass]]] = {
    "InsertStmt": ("INSERT", _WRITE),
    "UpdateStmt": ("UPDATE", _WRITE),
    "DeleteStmt": ("DELETE", _WRITE),
    "MergeStmt": ("MERGE", _WRITE),
    "TruncateStmt": ("TRUNCATE", _WRITE),
    "CallStmt": ("CALL", _WRITE),
    "DoStmt": ("DO", _WRITE),
    "ExplainStmt": ("EXPLAIN", _READ),
    "VariableShowStmt": ("SHOW", _READ),
    "CreateStmt": ("CREATE TABLE", _DDL),
    "IndexStmt": ("CREATE INDEX", _DDL),
    "ViewStmt": ("CREATE VIEW", _DDL),
    "CreateSchemaStmt": ("CREATE SCHEMA", _DDL),
    "CreateSeqStmt": ("CREATE SEQUENCE", _DDL),
    "AlterSeqStmt": ("ALTER SEQUENCE", _DDL),
    "CreateDomainStmt": ("CREATE DOMAIN", _DDL),
    "AlterDomainStmt": ("ALTER DOMAIN", _DDL),
    "CreateEnumStmt": ("CREATE TYPE", _DDL),
    "CreateRangeStmt": ("CREATE TYPE", _DDL),
    "CompositeTypeStmt": ("CREATE TYPE", _DDL),
    "AlterEnumStmt": ("ALTER TYPE", _DDL),
    "AlterTypeStmt": ("ALTER TYPE", _DDL),
    "CreateTrigStmt": ("CREATE TRIGGER", _DDL),
    "CreatePolicyStmt": ("CREATE POLICY", _DDL),
    "AlterPolicyStmt": ("ALTER POLICY", _DDL),
    "RuleStmt": ("CREATE RULE", _DDL),
    "CreateStatsStmt": ("CREATE STATISTICS", _DDL),
    "AlterStatsStmt": ("ALTER STATISTICS", _DDL),
    "CreateCastStmt": ("CREATE CAST", _DDL),
    "AlterOperatorStmt": ("ALTER OPERATOR", _DDL),
    "AlterTSDictionaryStmt": ("ALTER TEXT SEARCH DICTIONARY", _DDL),
    "AlterTSConfigurationStmt": ("ALTER TEXT SEARCH CONFIGURATION", _DDL),
    "AlterCollationStmt": ("ALTER COLLATION", _DDL),
    "RefreshMatViewStmt": ("REFRESH MATERIALIZED VIEW", _DDL),
    "CreateExtensionStmt": ("CREATE EXTENSION", _DDL),
    "GrantStmt": ("GRANT", _DDL),
    "AlterDefaultPrivilegesStmt": ("ALTER DEFAULT PRIVILEGES", _DDL),
    "CreateOpClassStmt": ("CREATE OPERATOR CLASS", _DDL),
    "CreateOpFamilyStmt": ("CREATE OPERATOR FAMILY", _DDL),
    "AlterOpFamilyStmt": ("ALTER OPERATOR FAMILY", _DDL),
    "CreateConversionStmt": ("CREATE CONVERSION", _DDL),
    "CreateTransformStmt": ("CREATE TRANSFORM", _DDL),
    "CreatePLangStmt": ("CREATE LANGUAGE", _SERVER),
    "CreateAmStmt": ("CREATE ACCESS METHOD", _SERVER),
    "AlterExtensionStmt": ("ALTER EXTENSION", _SERVER),
    "AlterExtensionContentsStmt": ("ALTER EXTENSION", _SERVER),
    "CreateEventTrigStmt": ("CREATE EVENT TRIGGER", _SERVER),
    "AlterEventTrigStmt": ("ALTER EVENT TRIGGER", _SERVER),
    "ReindexStmt": ("REINDEX", _MAINTENANCE),
    "ClusterStmt": ("CLUSTER", _MAINTENANCE),
    "VariableSetStmt": ("SET", _SESSION),
    "ConstraintsSetStmt": ("SET CONSTRAINTS", _SESSION),
    "DiscardStmt": ("DISCARD", _SESSION),
    "LockStmt": ("LOCK", _SESSION),
    "ListenStmt": ("LISTEN", _SESSION),
    "UnlistenStmt": ("UNLISTEN", _SESSION),
    "NotifyStmt": ("NOTIFY", _SESSION),
    "PrepareStmt": ("PREPARE", _SESSION),
    "ExecuteStmt": ("EXECUTE", _SESSION),
    "DeallocateStmt": ("DEALLOCATE", _SESSION),
    "DeclareCursorStmt": ("DECLARE", _SESSION),
    "ClosePortalStmt": ("CLOSE", _SESSION),
    "FetchStmt": ("FETCH", _SESSION),
    "TransactionStmt": ("BEGIN", StatementClass.TRANSACTION),
    "CopyStmt": ("COPY", StatementClass.COPY),
    "LoadStmt": ("LOAD", _SERVER),
    "CheckPointStmt": ("CHECKPOINT", _SERVER),
    "AlterSystemStmt": ("ALTER SYSTEM", _SERVER),
    "SecLabelStmt": ("SECURITY LABEL", _SERVER),
    "CreatedbStmt": ("CREATE DATABASE", _SERVER),
    "AlterDatabaseStmt": ("ALTER DATABASE", _SERVER),
    "AlterDatabaseRefreshCollStmt": ("ALTER DATABASE", _SERVER),
    "AlterDatabaseSetStmt": ("ALTER DATABASE", _SERVER),
    "DropdbStmt": ("DROP DATABASE", _SERVER),
    "CreateTableSpaceStmt": ("CREATE TABLESPACE", _SERVER),
    "AlterTableSpaceOptionsStmt": ("ALTER TABLESPACE", _SERVER),
    "AlterTableMoveAllStmt": ("ALTER TABLESPACE", _SERVER),
    "DropTableSpaceStmt": ("DROP TABLESPACE", _SERVER),
    "GrantRoleStmt": ("GRANT ROLE", _SERVER),
    "CreateRoleStmt": ("CREATE ROLE", _SERVER),
    "AlterRoleStmt": ("ALTER ROLE", _SERVER),
    "AlterRoleSetStmt": ("ALTER ROLE", _SERVER),
    "DropRoleStmt": ("DROP ROLE", _SERVER),
    "DropOwnedStmt": ("DROP OWNED", _SERVER),
    "ReassignOwnedStmt": ("REASSIGN OWNED", _SERVER),
    "CreateFdwStmt": ("CREATE FOREIGN DATA WRAPPER", _SERVER),
    "AlterFdwStmt": ("ALTER FOREIGN DATA WRAPPER", _SERVER),
    "CreateForeignServerStmt": ("CREATE SERVER", _SERVER),
    "AlterForeignServerStmt": ("ALTER SERVER", _SERVER),
    "CreateForeignTableStmt": ("CREATE FOREIGN TABLE", _SERVER),
    "ImportForeignSchemaStmt": ("IMPORT FOREIGN SCHEMA", _SERVER),
    "CreateUserMappingStmt": ("CREATE USER MAPPING", _SERVER),
    "AlterUserMappingStmt": ("ALTER USER MAPPING", _SERVER),
    "DropUserMappingStmt": ("DROP USER MAPPING", _SERVER),
    "CreatePublicationStmt": ("CREATE PUBLICATION", _SERVER),
    "AlterPublicationStmt": ("ALTER PUBLICATION", _SERVER),
    "CreateSubscriptionStmt": ("CREATE SUBSCRIPTION", _SERVER),
    "AlterSubscriptionStmt": ("ALTER SUBSCRIPTION", _SERVER),
    "DropSubscriptionStmt": ("DROP SUBSCRIPTION", _SERVER),
}
"""Statement nodes that always are the same command."""

OBJECTS: Final[dict[str, str]] = {
    "OBJECT_AGGREGATE": "AGGREGATE",
    "OBJECT_ATTRIBUTE": "TYPE",
    "OBJECT_CAST": "CAST",
    "OBJECT_COLLATION": "COLLATION",
    "OBJECT_COLUMN": "COLUMN",
    "OBJECT_CONVERSION": "CONVERSION",
    "OBJECT_DOMAIN": "DOMAIN",
    "OBJECT_DOMCONSTRAINT": "DOMAIN",
    "OBJECT_FUNCTION": "FUNCTION",
    "OBJECT_INDEX": "INDEX",
    "OBJECT_MATVIEW": "MATERIALIZED VIEW",
    "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPERATOR": "OPERATOR",
    "OBJECT_OPFAMILY": "OPERATOR FAMILY",
    "OBJECT_POLICY": "POLICY",
    "OBJECT_PROCEDURE": "PROCEDURE",
    "OBJECT_ROUTINE": "ROUTINE",
    "OBJECT_RULE": "RULE",
    "OBJECT_SCHEMA": "SCHEMA",
    "OBJECT_SEQUENCE": "SEQUENCE",
    "OBJECT_STATISTIC_EXT": "STATISTICS",
    "OBJECT_TABCONSTRAINT": "TABLE",
    "OBJECT_TABLE": "TABLE",
    "OBJECT_TRANSFORM": "TRANSFORM",
    "OBJECT_TRIGGER": "TRIGGER",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "OBJECT_TSPARSER": "TEXT SEARCH PARSER",
    "OBJECT_TSTEMPLATE": "TEXT SEARCH TEMPLATE",
    "OBJECT_TYPE": "TYPE",
    "OBJECT_VIEW": "VIEW",
}
"""Kinds of objects that live inside one database and that a policy may speak of."""

SERVER_OBJECTS: Final[dict[str, str]] = {
    "OBJECT_ACCESS_METHOD": "ACCESS METHOD",
    "OBJECT_DATABASE": "DATABASE",
    "OBJECT_EVENT_TRIGGER": "EVENT TRIGGER",
    "OBJECT_EXTENSION": "EXTENSION",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER",
    "OBJECT_FOREIGN_SERVER": "SERVER",
    "OBJECT_FOREIGN_TABLE": "FOREIGN TABLE",
    "OBJECT_LANGUAGE": "LANGUAGE",
    "OBJECT_LARGEOBJECT": "LARGE OBJECT",
    "OBJECT_PARAMETER_ACL": "PARAMETER",
    "OBJECT_PUBLICATION": "PUBLICATION",
    "OBJECT_ROLE": "ROLE",
    "OBJECT_SUBSCRIPTION": "SUBSCRIPTION",
    "OBJECT_TABLESPACE": "TABLESPACE",
    "OBJECT_USER_MAPPING": "USER MAPPING",
}
"""Kinds of objects that reach beyond the agent's own data."""

_VERBS: Final[dict[str, tuple[str, str]]] = {
    "DropStmt": ("DROP", "removeType"),
    "CommentStmt": ("COMMENT ON", "objtype"),
    "AlterTableStmt": ("ALTER", "objtype"),
    "AlterFunctionStmt": ("ALTER", "objtype"),
    "AlterObjectSchemaStmt": ("ALTER", "objectType"),
    "AlterOwnerStmt": ("ALTER", "objectType"),
    "AlterObjectDependsStmt": ("ALTER", "objectType"),
    "DefineStmt": ("CREATE", "kind"),
}
"""Statement nodes that name the kind of object in a field."""

_TRANSACTION: Final = {
    "TRANS_STMT_BEGIN": "BEGIN",
    "TRANS_STMT_START": "START TRANSACTION",
    "TRANS_STMT_COMMIT": "COMMIT",
    "TRANS_STMT_ROLLBACK": "ROLLBACK",
    "TRANS_STMT_SAVEPOINT": "SAVEPOINT",
    "TRANS_STMT_RELEASE": "RELEASE",
    "TRANS_STMT_ROLLBACK_TO": "ROLLBACK TO",
    "TRANS_STMT_PREPARE": "PREPARE TRANSACTION",
    "TRANS_STMT_COMMIT_PREPARED": "COMMIT PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED": "ROLLBACK PREPARED",
}

Command = tuple[str, StatementClass]


def _on_object(verb: str, kind: str) -> Command | None:
    if kind in OBJECTS:
        return f"{verb} {OBJECTS[kind]}", _DDL
    if kind in SERVER_OBJECTS:
        return f"{verb} {SERVER_OBJECTS[kind]}", _SERVER
    return None


def _renamed(body: dict[str, Any]) -> Command | None:
    kind = str(body.get("renameType"))
    return _on_object("ALTER", str(body.get("relationType")) if kind == "OBJECT_COLUMN" else kind)


def _made_from_query(body: dict[str, Any]) -> Command | None:
    if body.get("objtype") == "OBJECT_MATVIEW":
        return "CREATE MATERIALIZED VIEW", _DDL
    return ("CREATE TABLE AS", _DDL) if body.get("objtype") == "OBJECT_TABLE" else None


def _vacuum(body: dict[str, Any]) -> Command:
    return ("VACUUM" if body.get("is_vacuumcmd") else "ANALYZE"), _MAINTENANCE


def _routine(body: dict[str, Any]) -> Command:
    return ("CREATE PROCEDURE" if body.get("is_procedure") else "CREATE FUNCTION"), _DDL


def _transaction(body: dict[str, Any]) -> Command:
    return _TRANSACTION.get(str(body.get("kind")), "BEGIN"), StatementClass.TRANSACTION


def _set(body: dict[str, Any]) -> Command:
    kind, name = str(body.get("kind")), str(body.get("name", ""))
    if kind == "VAR_SET_MULTI":
        return f"SET {name}", StatementClass.TRANSACTION if name.startswith("TRANSACTION") else _SESSION
    return ("RESET" if kind.startswith("VAR_RESET") else "SET"), _SESSION


def _grant(body: dict[str, Any]) -> Command:
    return ("GRANT" if body.get("is_grant") else "REVOKE"), _DDL


_BY_BODY: Final = {
    "RenameStmt": _renamed,
    "CreateTableAsStmt": _made_from_query,
    "VacuumStmt": _vacuum,
    "CreateFunctionStmt": _routine,
    "TransactionStmt": _transaction,
    "VariableSetStmt": _set,
    "GrantStmt": _grant,
}

STATEMENT_NODES: Final = frozenset({"SelectStmt"} | NAMED.keys() | _VERBS.keys() | _BY_BODY.keys())
"""Every statement node that has a command: the walk itself tells the kinds of SELECT apart."""

PARTS: Final = frozenset({"RawStmt", "ReturnStmt", "PLAssignStmt", "ReplicaIdentityStmt"})
"""Nodes called statements that are parts of one."""


def command(tag: str, body: dict[str, Any]) -> Command | None:
    """Name and class of a statement node; None for one that is not known."""
    if tag in _BY_BODY:
        return _BY_BODY[tag](body)
    if tag in _VERBS:
        verb, field = _VERBS[tag]
        return _on_object(verb, str(body.get(field)))
    return NAMED.get(tag)


def is_statement(tag: str) -> bool:
    """Whether a node of this type is a command of its own."""
    return tag.endswith("Stmt") and tag not in PARTS


def command_classes() -> dict[str, StatementClass]:
    """Every command name that there is, with its class."""
    classes = {"SELECT": _READ, "SELECT FOR UPDATE": _WRITE, "VACUUM": _MAINTENANCE, "ANALYZE": _MAINTENANCE}
    for verb in ("CREATE", "ALTER", "DROP", "COMMENT ON"):
        classes |= {f"{verb} {kind}": _DDL for kind in OBJECTS.values()}
        classes |= {f"{verb} {kind}": _SERVER for kind in SERVER_OBJECTS.values()}
    classes |= dict.fromkeys(_TRANSACTION.values(), StatementClass.TRANSACTION)
    classes |= dict.fromkeys(("SELECT INTO", "CREATE TABLE AS", "GRANT", "REVOKE"), _DDL)
    return classes | dict(NAMED.values())
