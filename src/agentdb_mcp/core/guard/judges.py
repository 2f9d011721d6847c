"""One judge for each kind of fact. Each says what it objects to, or nothing."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agentdb_mcp.core.guard.classes import TOOLS, StatementClass, Tool, tool_of
from agentdb_mcp.core.guard.facts import Access, Command, Facts, Feature, Name, NameKind, Trait
from agentdb_mcp.core.guard.functions import WRITING, calls_own
from agentdb_mcp.core.guard.policy import Policy


@dataclass(frozen=True, slots=True)
class Objection:
    """A rule that a fact breaks."""

    rule: str
    found: str
    position: int | None
    words: dict[str, str] = field(default_factory=dict)
    """More keywords for the rule's texts."""


def judge(facts: Facts, policy: Policy, tool: Tool | None) -> Iterator[Objection]:
    """Every objection, the most telling first."""
    for trait in facts.traits:
        if trait.feature is Feature.UNKNOWN_NODE:
            yield Objection("statement.unknown", trait.found, trait.position)
    for command in facts.commands:
        yield from _command(command, policy)
    for name in _once(facts.names):
        yield from _NAME_JUDGES[name.kind](name, policy)
    for trait in facts.traits:
        yield from _trait(trait, policy)
    if facts.depth > policy.limits.max_tree:
        yield Objection("text.depth", f"{facts.depth} levels", None)
    yield from _tool(facts, policy, tool)


def _once(names: Iterable[Name]) -> Iterable[Name]:
    """The first use of each: the others would be judged the same."""
    first: dict[tuple[object, ...], Name] = {}
    for name in names:
        first.setdefault((name.kind, name.path, name.access, name.argument), name)
    return first.values()


_MOST_PARTS: Final = 2
"""Of a name: a third would be another database."""

_CLASS_RULES: Final = {
    StatementClass.TRANSACTION: "statement.transaction",
    StatementClass.SESSION: "statement.session",
    StatementClass.COPY: "statement.copy",
    StatementClass.SERVER: "statement.server",
}

_INSTEAD: Final = {
    "SET": "Limits and settings belong to the server; schema-qualify names instead of changing search_path.",
    "RESET": "Settings are as the server made them.",
    "LOCK": "Use SELECT … FOR UPDATE, or one statement that does it all.",
    "LISTEN": "Ask the table again later.",
    "NOTIFY": "Write a row that the others read.",
    "PREPARE": "Send the statement itself; parameters go beside it.",
    "EXECUTE": "Send the statement itself; parameters go beside it.",
    "DECLARE": "Use LIMIT, and go on after the last key that you saw.",
    "FETCH": "Use LIMIT, and go on after the last key that you saw.",
    "GRANT": "Every right that you need in this database you have.",
    "REVOKE": "Rights in this database are the server's to give.",
    "ALTER DEFAULT PRIVILEGES": "Rights in this database are the server's to give.",
    "TRUNCATE": "Use DELETE with a WHERE clause.",
    "CREATE DATABASE": "Use CREATE SCHEMA to keep things apart.",
    "CREATE ROLE": "Rights in this database are the server's to give.",
    "ALTER EXTENSION": "Extensions are installed already.",
    "DROP EXTENSION": "Leave it: an extension that is not used harms nothing.",
}
"""By command, or by its first word."""


def _command(command: Command, policy: Policy) -> Iterator[Objection]:
    if policy.allows(command.name):
        return
    rule = _CLASS_RULES.get(command.klass, "statement.command")
    tool = tool_of(command.klass)
    if tool is not None and not policy.serves(tool):
        instead = _open_tools(policy)
    else:
        instead = _INSTEAD.get(command.name) or _INSTEAD.get(command.name.split()[0], "Leave it out.")
    yield Objection(rule, command.name, command.position, {"instead": instead})


def _open_tools(policy: Policy) -> str:
    return f"This database serves only {' and '.join(tool for tool in TOOLS if policy.serves(tool))}."


def _tool(facts: Facts, policy: Policy, tool: Tool | None) -> Iterator[Objection]:
    top, right = facts.commands[0], tool_of(facts.klass)
    if right is None or not policy.serves(right):
        yield Objection("statement.command", top.name, top.position, {"instead": _open_tools(policy)})
    elif tool is not None and tool != right and not _may_write(facts, policy, tool):
        found, position = _telling(facts)
        words = {"tool": tool, "right": right, "does": _DOES[facts.klass], "takes": _TAKES[tool]}
        yield Objection("tool.mismatch", found, position, words)


_DOES: Final = {
    StatementClass.READ: "only reads",
    StatementClass.WRITE: "writes",
    StatementClass.MAINTENANCE: "maintains the database",
    StatementClass.DDL: "changes the schema",
}
_TAKES: Final[dict[Tool, str]] = {
    "query": "only reads",
    "execute": "changes rows",
    "execute_ddl": "changes the schema",
}


def _may_write(facts: Facts, policy: Policy, tool: Tool) -> bool:
    """A function of the agent's own may write; what calls it looks like a read."""
    reads = facts.klass is StatementClass.READ
    return tool == "execute" and policy.serves(tool) and reads and calls_own(facts)


def _telling(facts: Facts) -> tuple[str, int | None]:
    """What gives the statement its class, and where it stands."""
    for command in facts.commands:
        if command.klass is facts.klass:
            return command.name, command.position
    for name in facts.names:
        if name.kind is NameKind.FUNCTION and name.name in WRITING:
            return name.text, name.position
    return facts.commands[0].name, facts.commands[0].position


def _function(name: Name, policy: Policy) -> Iterator[Objection]:
    if len(name.path) > _MOST_PARTS:
        yield Objection("relation.database", name.text, name.position)
        return
    if name.name == "current_setting":
        if (name.argument or "").lower() not in policy.shown_settings:
            yield Objection(
                "setting.refused", name.argument or "that is computed", name.position, _shown(name)
            )
        return
    if name.name in policy.refused_types:
        yield Objection("type.refused", name.text, name.position)
        return
    family = policy.functions.family_of(name.name)
    if family is not None:
        instead = f"Instead, {family.instead}." if family.instead else "Remove the call."
        yield Objection("function.refused", name.text, name.position, {"why": family.why, "instead": instead})
    elif policy.functions.mode == "allow" and name.name not in policy.functions.allowed:
        yield Objection("function.unlisted", name.text, name.position)
    else:
        yield from _schema_open(name, policy)


def _relation(name: Name, policy: Policy) -> Iterator[Objection]:
    if len(name.path) > _MOST_PARTS:
        yield Objection("relation.database", name.text, name.position)
    elif name.access is not Access.READ and _is_systems(name, policy):
        yield Objection("relation.protected", name.text, name.position)
    elif name.schema == "information_schema":
        if name.name not in policy.information_schema:
            yield Objection("relation.catalog", name.text, name.position)
    elif name.schema == "pg_catalog" or (name.name.startswith("pg_") and not name.schema):
        if name.name not in policy.catalogs:
            yield Objection("relation.catalog", name.text, name.position)
    else:
        yield from _schema_open(name, policy)


def _is_systems(name: Name, policy: Policy) -> bool:
    return name.schema in policy.schemas.protected or (not name.schema and name.name.startswith("pg_"))


def _schema_open(name: Name, policy: Policy) -> Iterator[Objection]:
    schemas = policy.schemas
    is_open = name.schema in schemas.allowed and name.schema not in schemas.closed
    if name.schema not in {"", "pg_catalog"} and not is_open:
        words = {"instead": ", ".join(sorted(schemas.allowed.names)) or "public or a schema of your own"}
        yield Objection("relation.schema", name.text, name.position, words)


def _type(name: Name, policy: Policy) -> Iterator[Objection]:
    if name.name in policy.refused_types or name.name.removeprefix("_") in policy.refused_types:
        yield Objection("type.refused", name.text, name.position)
    else:
        yield from _schema_open(name, policy)


def _object(name: Name, policy: Policy) -> Iterator[Objection]:
    if name.access is not Access.READ and name.schema in policy.schemas.protected:
        yield Objection("relation.protected", name.text, name.position)
    else:
        yield from _schema_open(name, policy)


def _schema(name: Name, policy: Policy) -> Iterator[Objection]:
    if name.access is Access.ROUTINE:
        yield from _searched(name, policy)
    elif name.name in policy.schemas.closed:
        yield Objection("relation.protected", name.text, name.position)
    elif name.access is Access.READ:
        if _is_catalog(name):
            yield Objection("relation.protected", name.text, name.position)
    elif name.name in policy.schemas.protected:
        yield Objection("relation.protected", name.text, name.position)
    elif name.access is Access.WRITE and name.name in policy.schemas.kept:
        yield Objection("schema.kept", name.text, name.position)


def _searched(name: Name, policy: Policy) -> Iterator[Objection]:
    """A schema of a routine's search_path: bare names reach what is in it, past the lists."""
    is_open = name.name in policy.schemas.allowed and name.name not in policy.schemas.closed
    if name.name != "pg_catalog" and (_is_catalog(name) or not is_open):
        words = {"instead": "It may name public, extensions, pg_catalog, your schemas and, last, pg_temp."}
        yield Objection("setting.refused", f"search_path = {name.text}", name.position, words)


def _is_catalog(name: Name) -> bool:
    return name.name.startswith("pg_") or name.name == "information_schema"


def _role(name: Name, _policy: Policy) -> Iterator[Objection]:
    yield Objection("role.named", name.text, name.position)


def _tablespace(name: Name, _policy: Policy) -> Iterator[Objection]:
    if name.name != "pg_default":
        yield Objection("tablespace.named", name.text, name.position)


def _extension(name: Name, policy: Policy) -> Iterator[Objection]:
    if name.name not in policy.extensions:
        words = {"instead": ", ".join(sorted(policy.extensions.names))}
        yield Objection("extension.refused", name.text, name.position, words)


def _language(name: Name, policy: Policy) -> Iterator[Objection]:
    if name.name not in policy.languages:
        languages = " or ".join(sorted(policy.languages.names))
        instead = f"Write it in {languages}." if languages else "This database takes no routines."
        yield Objection("language.refused", name.text, name.position, {"instead": instead})


def _setting(name: Name, policy: Policy) -> Iterator[Objection]:
    listed = policy.routine_settings if name.access is Access.ROUTINE else policy.shown_settings
    if name.name.lower() not in listed:
        words = {"instead": f"A routine may set: {', '.join(sorted(listed.names))}."}
        yield Objection(
            "setting.refused",
            name.text,
            name.position,
            words if name.access is Access.ROUTINE else _shown(name),
        )


_NOT_SETTINGS: Final = frozenset({"tables", "databases", "schemas", "columns", "indexes", "views", "create"})
"""What other databases show and PostgreSQL takes for settings."""


def _shown(name: Name) -> dict[str, str]:
    if name.name.lower() in _NOT_SETTINGS:
        return {"instead": "Ask the tool list_tables, or select from information_schema.tables or .columns."}
    return {"instead": "Among those that may be read are server_version, timezone and search_path."}


_NAME_JUDGES: Final[dict[NameKind, Callable[[Name, Policy], Iterator[Objection]]]] = {
    NameKind.FUNCTION: _function,
    NameKind.RELATION: _relation,
    NameKind.TYPE: _type,
    NameKind.OBJECT: _object,
    NameKind.SCHEMA: _schema,
    NameKind.ROLE: _role,
    NameKind.TABLESPACE: _tablespace,
    NameKind.EXTENSION: _extension,
    NameKind.LANGUAGE: _language,
    NameKind.SETTING: _setting,
}

_TRAIT_RULES: Final = {
    Feature.UPDATE_ALL: "dml.update_all",
    Feature.DELETE_ALL: "dml.delete_all",
    Feature.CASCADE: "ddl.cascade",
    Feature.TEMPORARY: "ddl.temporary",
    Feature.ALTER_ACTION: "ddl.alter_action",
    Feature.WHOLE_DATABASE: "maintenance.whole_database",
    Feature.DYNAMIC_SQL: "routine.dynamic_sql",
    Feature.SECURITY_DEFINER: "routine.security_definer",
    Feature.ROUTINE_TRANSACTION: "routine.transaction",
    Feature.SWALLOWED_CANCEL: "routine.swallowed_cancel",
    Feature.UNREADABLE_BODY: "routine.unreadable",
}


def _trait(trait: Trait, policy: Policy) -> Iterator[Objection]:
    rule = _TRAIT_RULES.get(trait.feature)
    if rule is not None and trait.feature.value not in policy.features:
        yield Objection(rule, trait.found, trait.position)
