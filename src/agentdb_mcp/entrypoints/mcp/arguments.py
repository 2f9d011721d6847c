"""Holds a call's arguments against its tool's schema, and teaches when they do not fit.

A full JSON Schema validator costs 28 microseconds a call and speaks of schemas. This one knows the few
keywords that tools.py uses, costs two, and says which arguments there are; a test holds both to the
same verdicts.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.entrypoints.mcp.tools import JsonSchema, ToolSpec

_ECHOED = 40
"""Characters of the caller's own words that an error repeats at most."""

_WORDS: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "array": "an array",
    "boolean": "true or false",
}

_PLAIN: Final = {"string": str, "array": list, "boolean": bool}


def checked(tool: ToolSpec, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with whole numbers made integers. Raises Invalid("bad_argument")."""
    properties: JsonSchema = tool.input_schema["properties"]
    for name in arguments:
        if name not in properties:
            raise _unknown(tool, name)
    for name in tool.input_schema.get("required", ()):
        if name not in arguments:
            raise missing(tool, name)
    return {name: _fitting(tool, name, value, properties[name]) for name, value in arguments.items()}


def missing(tool: ToolSpec, name: str) -> Invalid:
    """What to say when an argument that is needed was left out."""
    return _refused(tool, f"{tool.name} needs the argument {name}.")


def unknown_tool(name: str, tools: Mapping[str, ToolSpec]) -> Invalid:
    """What to say when a tool is called that does not exist."""
    return Invalid("bad_argument", f"There is no tool {_echo(name)}.", f"The tools are: {', '.join(tools)}.")


def _fitting(tool: ToolSpec, name: str, value: Any, schema: JsonSchema) -> Any:
    kind: str = schema["type"]
    if not _is(kind, value):
        raise _refused(tool, f"{name} must be {_WORDS[kind]}, not {_word_of(value)}.")
    if "enum" in schema and value not in schema["enum"]:
        choices = " or ".join(f'"{choice}"' for choice in schema["enum"])
        raise _refused(tool, f"{name} must be {choices} here, not {_echo(value)}.")
    return int(value) if kind == "integer" else value


def _is(kind: str, value: Any) -> bool:
    if kind in _PLAIN:
        return isinstance(value, _PLAIN[kind])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "number" or isinstance(value, int) or value.is_integer()


def _unknown(tool: ToolSpec, name: str) -> Invalid:
    near = get_close_matches(name[:_ECHOED], tool.input_schema["properties"], n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return _refused(tool, f"{tool.name} has no argument {_echo(name)}.{meant}")


def _refused(tool: ToolSpec, message: str) -> Invalid:
    required = tool.input_schema.get("required", ())
    names = [f"{name} (required)" if name in required else name for name in tool.input_schema["properties"]]
    return Invalid("bad_argument", message, f"{tool.name} takes: {', '.join(names)}.")


def _echo(text: str) -> str:
    return repr(text if len(text) <= _ECHOED else f"{text[:_ECHOED]}…")


def _word_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number" if isinstance(value, int) else "a fraction"
    return "an array" if isinstance(value, list) else "an object"
