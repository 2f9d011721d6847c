"""What single node types mean beyond the names in their fields."""

from typing import Any, Final

from agentdb_mcp.core.guard import statements
from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.collector import Collector, Handler, Step
from agentdb_mcp.core.guard.definitions import DEFINITION_HANDLERS
from agentdb_mcp.core.guard.facts import Access, Feature, NameKind
from agentdb_mcp.core.guard.functions import WRITING
from agentdb_mcp.core.guard.naming import path_of
from agentdb_mcp.core.guard.sweeps import SWEEP_HANDLERS


def statement(collector: Collector, step: Step) -> None:
    """A command; plain SELECTs within another command are part of it."""
    if step.tag == "VariableSetStmt" and step.parent == "DefElem":
        _carried_setting(collector, step)
        return
    found = _select(step) if step.tag == "SelectStmt" else statements.command(step.tag, step.body)
    if found is None:
        collector.trait(Feature.UNKNOWN_NODE, step.tag, step.at)
        return
    if found != ("SELECT", StatementClass.READ) or step.parent in {"", "ExplainStmt"}:
        collector.command(*found, step)


def _carried_setting(collector: Collector, step: Step) -> None:
    """SET in CREATE or ALTER FUNCTION: a setting that the function brings along. RESET takes one away."""
    kind, name = str(step.body.get("kind")), str(step.body.get("name"))
    if kind.startswith("VAR_RESET"):
        return
    if kind == "VAR_SET_CURRENT":
        name += " FROM CURRENT"  # no name of a setting: the text does not tell the value
    collector.name(NameKind.SETTING, (name,), Access.ROUTINE, step.at)
    if name.lower() == "search_path":
        _search_path(collector, step)


def _search_path(collector: Collector, step: Step) -> None:
    """The schemas where the body's bare names are looked up. pg_temp is safe where it comes last."""
    schemas = [_constant([value]) or "" for value in step.body.get("args", [])]
    for schema in schemas[:-1] if schemas[-1:] == ["pg_temp"] else schemas:
        if schema not in {"", "$user"}:
            collector.name(NameKind.SCHEMA, (schema,), Access.ROUTINE, step.at)


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
        and step.ctes is not None
        and step.ctes.sees(path[0])
        and not path[0].startswith("pg_")
    )


def _call(collector: Collector, step: Step) -> None:
    path = path_of(step.body.get("funcname", []))
    collector.name(NameKind.FUNCTION, path, Access.READ, step.at, _constant(step.body.get("args", [])))
    if path and path[-1] in WRITING:
        collector.raise_class(StatementClass.WRITE, step)


def _constant(arguments: list[Any]) -> str | None:
    """The first argument, when it is a string constant: bare, or cast to what leaves it as it is."""
    node = arguments[0] if arguments else {}
    while "TypeCast" in node and _is_text(node["TypeCast"].get("typeName", {})):
        node = node["TypeCast"].get("arg", {})
    value = node.get("A_Const", {}).get("sval")
    return str(value.get("sval", "")) if isinstance(value, dict) else None


_TEXTS: Final = frozenset({("text",), ("pg_catalog", "text"), ("varchar",), ("pg_catalog", "varchar")})


def _is_text(type_name: dict[str, Any]) -> bool:
    """Text of any length: neither an array nor cut short."""
    plain = type_name.keys() <= {"names", "typemod", "location"}
    return plain and path_of(type_name.get("names", [])) in _TEXTS


HANDLERS: Final[dict[str, Handler]] = (
    DEFINITION_HANDLERS | SWEEP_HANDLERS | {"RangeVar": _relation, "FuncCall": _call}
)
