"""Policy files: TOML, checked key by key, with the line in every complaint."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final, NoReturn

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.guard.classes import TOOLS, StatementClass, Tool, tool_of
from agentdb_mcp.core.guard.grammar import GRAMMAR_MAJOR
from agentdb_mcp.core.guard.patterns import Patterns
from agentdb_mcp.core.guard.policy import Family, Functions, Limits, Schemas, SecondOpinion, digest_of
from agentdb_mcp.core.guard.statements import OBJECTS, command_classes

Table = dict[str, Any]

_NAMES: Final = "a list of texts"
_SCHEMA: Final[dict[str, dict[str, str]]] = {
    "": {"name": "text", "version": "whole number", "grammar": "whole number", "extends": "text"},
    "limits": dict.fromkeys(Limits.__dataclass_fields__, "whole number"),
    "commands": dict.fromkeys(TOOLS, _NAMES),
    "objects": dict.fromkeys(("create", "alter", "drop", "comment"), _NAMES),
    "features": dict.fromkeys(
        ("update_all", "delete_all", "cascade", "temporary", "dynamic_sql", "security_definer"),
        "true or false",
    ),
    "schemas": dict.fromkeys(("allow", "protected", "kept", "closed"), _NAMES),
    "catalogs": dict.fromkeys(("allow", "information_schema"), _NAMES),
    "functions": {"mode": "text", "allow": _NAMES, "refuse": "families"},
    "types": {"refuse": _NAMES},
    "settings": dict.fromkeys(("show", "routine"), _NAMES),
    "extensions": {"allow": _NAMES},
    "routines": {"languages": _NAMES},
    "second_opinion": {"enabled": "true or false"}
    | dict.fromkeys(("max_bytes", "max_depth", "max_subscripts", "max_tokens", "max_work"), "whole number"),
}
"""Every table and key there is, with the type of its value."""

_FAMILY: Final = {"family": "text", "names": _NAMES, "except": _NAMES, "why": "text", "instead": "text"}
_OPTIONAL: Final = {
    ("", "extends"),
    ("limits", "max_plan_cost"),
    ("functions", "allow"),
    ("functions", "refuse"),
}
_HEADER: Final = re.compile(r"^\s*\[{1,2}\s*([\w.\-\"]+)\s*\]{1,2}")
_KEY: Final = re.compile(r"^\s*\"?([\w\-]+)\"?\s*=")
_VERBS: Final = {"create": "CREATE", "alter": "ALTER", "drop": "DROP", "comment": "COMMENT ON"}


class _File:
    """One file's text and tables."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(
                "policy_invalid", f"{path.name}: cannot be read ({type(error).__name__})."
            ) from None
        try:
            self.content: Table = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise Misconfigured("policy_invalid", f"{path.name}: {error}.") from None

    def refuse(self, table: str, key: str, why: str) -> NoReturn:
        """Raise, with the line where `key` of `table` stands."""
        where = f"{self.path.name}:{self._line(table, key)}"
        raise Misconfigured("policy_invalid", f"{where}: {why}", "See docs/reference/policies.md.")

    def _line(self, table: str, key: str) -> int:
        current, best = "", 1
        for number, line in enumerate(self.text.splitlines(), 1):
            header, entry = _HEADER.match(line), _KEY.match(line)
            if header:
                current = header[1]
                best = number if current == table or (table == "" and current == key) else best
            elif entry and current == table and entry[1] == key:
                return number
        return best


def read_policy(path: Path) -> dict[str, Any]:
    """The fields of a Policy. Raises Misconfigured("policy_invalid")."""
    content = _resolved(path, ())
    return _fields(_File(path), content)


def _resolved(path: Path, seen: tuple[str, ...]) -> Table:
    """The file laid over what it extends: tables key by key, lists and values replaced, families added."""
    file = _File(path)
    _check(file)
    base = file.content.get("extends")
    if base is None:
        return file.content
    if path.stem in seen or not re.fullmatch(r"[\w\-]+", base):
        file.refuse("", "extends", f"{base!r} is not a policy that this one can extend.")
    parent = _resolved(path.with_name(f"{base}.toml"), (*seen, path.stem))
    return _over(parent, file.content)


def _over(parent: Table, child: Table) -> Table:
    merged = dict(parent)
    for key, value in child.items():
        merged[key] = parent.get(key, {}) | value if isinstance(value, dict) else value
    families = [*parent.get("functions", {}).get("refuse", []), *child.get("functions", {}).get("refuse", [])]
    merged["functions"] = merged.get("functions", {}) | {"refuse": families}
    return merged


def _check(file: _File) -> None:
    for table, value in file.content.items():
        if not isinstance(value, dict):
            _check_value(file, "", table, _SCHEMA[""].get(table), value)
            continue
        if table not in _SCHEMA or table == "":
            file.refuse(table, table, f"there is no table [{table}].")
        for key, inner in value.items():
            _check_value(file, table, key, _SCHEMA[table].get(key), inner)
    if file.content.get("name") != file.path.stem:
        file.refuse("", "name", f"the name must be the file's, {file.path.stem!r}.")
    if file.content.get("grammar") != GRAMMAR_MAJOR:
        file.refuse("", "grammar", f"this guard reads PostgreSQL {GRAMMAR_MAJOR}'s grammar.")


def _check_value(file: _File, table: str, key: str, wanted: str | None, value: Any) -> None:
    if wanted is None:
        file.refuse(
            table, key, f"there is no key {key!r} in {f'[{table}]' if table else 'the head of a policy'}."
        )
    if wanted == "families":
        _check_families(file, value)
    elif not _is(wanted, value):
        file.refuse(table, key, f"{key!r} must be {wanted}.")


def _check_families(file: _File, value: Any) -> None:
    for family in value if isinstance(value, list) else [{}]:
        if not isinstance(family, dict) or not {"family", "names", "why"} <= family.keys():
            file.refuse("functions.refuse", "family", "a family has the keys family, names and why.")
        for key, inner in family.items():
            if key not in _FAMILY or not _is(_FAMILY[key], inner):
                file.refuse("functions.refuse", key, f"{key!r} must be {_FAMILY.get(key, 'left out')}.")


def _is(wanted: str, value: Any) -> bool:
    if wanted == "text":
        return isinstance(value, str)
    if wanted == "true or false":
        return isinstance(value, bool)
    if wanted == _NAMES:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _fields(file: _File, content: Table) -> dict[str, Any]:
    for table, keys in _SCHEMA.items():
        given = content if table == "" else content.get(table, {})
        for key in keys:
            if key not in given and (table, key) not in _OPTIONAL:
                file.refuse(table, key, f"{key!r} is missing from {f'[{table}]' if table else 'the head'}.")
    families = tuple(map(_family, content["functions"].get("refuse", [])))
    if content["functions"]["mode"] not in {"refuse", "allow"}:
        file.refuse("functions", "mode", "'mode' must be 'refuse' or 'allow'.")
    second = content["second_opinion"]
    return {
        "name": content["name"],
        "version": content["version"],
        "grammar": content["grammar"],
        "digest": digest_of(json.dumps(content, sort_keys=True)),
        "limits": Limits(**content["limits"]),
        "commands": _commands(file, content),
        "features": frozenset(key for key, allowed in content["features"].items() if allowed),
        "schemas": Schemas(*(Patterns.of(content["schemas"][key]) for key in _SCHEMA["schemas"])),
        "catalogs": Patterns.of(content["catalogs"]["allow"]),
        "information_schema": Patterns.of(content["catalogs"]["information_schema"]),
        "functions": Functions(
            content["functions"]["mode"], families, Patterns.of(content["functions"].get("allow", []))
        ),
        "refused_types": Patterns.of(content["types"]["refuse"]),
        "shown_settings": Patterns.of(content["settings"]["show"]),
        "routine_settings": Patterns.of(content["settings"]["routine"]),
        "extensions": Patterns.of(content["extensions"]["allow"]),
        "languages": Patterns.of(content["routines"]["languages"]),
        "second": SecondOpinion(**second),
    }


def _family(content: Table) -> Family:
    return Family(
        content["family"],
        Patterns.of(content["names"]),
        Patterns.of(content.get("except", [])),
        content["why"],
        content.get("instead", ""),
    )


def _commands(file: _File, content: Table) -> dict[Tool, frozenset[str]]:
    """The commands of each tool, which must be ones that the tool can carry out."""
    listed: dict[Tool, set[str]] = {tool: set(content["commands"][tool]) for tool in TOOLS}
    classes = command_classes()
    for tool in TOOLS:
        for command in listed[tool]:
            klass = classes.get(command, StatementClass.UNKNOWN)
            if tool_of(klass) != tool:
                file.refuse("commands", tool, f"{command!r} is not a command that {tool} can take.")
    for key, verb in _VERBS.items():
        for kind in content["objects"][key]:
            if kind not in OBJECTS.values():
                file.refuse("objects", key, f"{kind!r} is not a kind of object inside a database.")
            listed["execute_ddl"].add(f"{verb} {kind}")
    return {tool: frozenset(commands) for tool, commands in listed.items()}
