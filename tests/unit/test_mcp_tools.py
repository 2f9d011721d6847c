"""The tools as data: cheap to list, sound as schemas, and never a place to name somebody else's database."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from jsonschema.validators import validator_for

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.mcp.tools import ToolSpec, agent_tools, instructions

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tools.md"
BOTH = (Kind.AGENT, Kind.GLOBAL)


def wire_form(spec: ToolSpec, *, with_output: bool) -> dict[str, object]:
    annotations = {
        "readOnlyHint": spec.read_only,
        **({} if spec.read_only else {"destructiveHint": spec.destructive}),
        "openWorldHint": False,
    }
    form: dict[str, object] = {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "inputSchema": spec.input_schema,
        "annotations": annotations,
    }
    return form | ({"outputSchema": spec.output_schema} if with_output else {})


@pytest.mark.parametrize(("with_output", "tokens"), [(False, 1_500), (True, 2_500)])
def test_the_whole_list_stays_within_its_tokens(with_output: bool, tokens: int) -> None:
    listed = [wire_form(spec, with_output=with_output) for spec in agent_tools(BOTH)]
    assert len(json.dumps(listed, separators=(",", ":"))) / 4 <= tokens


def test_there_are_eight_tools() -> None:
    names = [spec.name for spec in agent_tools(BOTH)]
    assert names == [
        "query",
        "execute",
        "execute_ddl",
        "load_rows",
        "transaction",
        "explain",
        "list_tables",
        "describe_table",
        "database_info",
    ]


def test_no_tool_takes_a_workspace_or_a_user_or_a_connection() -> None:
    arguments = {name for spec in agent_tools(BOTH) for name in spec.input_schema["properties"]}
    assert arguments == {
        "sql",
        "params",
        "cursor",
        "statements",
        "dry_run",
        "idempotency_key",
        "max_rows",
        "max_bytes",
        "max_tokens",
        "max_cell",
        "timeout",
        "transaction",
        "action",
        "columns",
        "rows",
        "database",
        "schema",
        "pattern",
        "since",
        "search",
        "after",
        "samples",
        "table",
    }


@pytest.mark.parametrize(
    ("databases", "names", "default"),
    [
        (BOTH, ["agent", "global"], "agent"),
        ((Kind.AGENT,), ["agent"], "agent"),
        ((Kind.GLOBAL,), ["global"], "global"),
    ],
)
def test_the_database_is_a_choice_among_those_the_server_was_started_with(
    databases: tuple[Kind, ...], names: list[str], default: str
) -> None:
    for spec in agent_tools(databases):
        choice = spec.input_schema["properties"]["database"]
        assert choice["enum"] == names
        # Said once: the first tool tells it for all.
        assert choice.get("default") == (default if spec.name == "query" else None)


@pytest.mark.parametrize("databases", [BOTH, (Kind.AGENT,), (Kind.GLOBAL,)])
def test_what_a_database_is_stands_in_one_tool_and_in_the_instructions(databases: tuple[Kind, ...]) -> None:
    told = {
        spec.name: spec.input_schema["properties"]["database"].get("description", "")
        for spec in agent_tools(databases)
    }
    for text in (told.pop("query"), instructions(databases)):
        assert all((f"{kind}:" in text) == (kind in databases) for kind in BOTH)
    assert set(told.values()) == {""}


@pytest.mark.parametrize("spec", agent_tools(BOTH), ids=lambda spec: spec.name)
def test_the_schemas_are_sound_and_closed(spec: ToolSpec) -> None:
    for schema in (spec.input_schema, spec.output_schema):
        validator_for(schema).check_schema(schema)
        assert schema["type"] == "object"
    assert spec.input_schema["additionalProperties"] is False


@pytest.mark.parametrize("spec", agent_tools(BOTH), ids=lambda spec: spec.name)
def test_an_error_is_as_valid_an_answer_as_a_result(spec: ToolSpec) -> None:
    """Clients of the TypeScript SDK check structured content against the schema when isError is set, too."""
    error = {"code": "sql_failed", "message": "no", "sqlstate": "42P01"}
    for answer in ({"error": error}, {"database": "agent", "error": error}):
        jsonschema.validate(answer, spec.output_schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, spec.output_schema)


def test_only_the_reading_tools_say_that_they_are_safe() -> None:
    hints = {spec.name: (spec.read_only, spec.destructive) for spec in agent_tools(BOTH)}
    changes = {
        "execute": (False, True),
        "execute_ddl": (False, True),
        "load_rows": (False, False),
        "transaction": (False, False),
    }
    assert hints == {name: changes.get(name, (True, False)) for name in hints}


def test_the_reference_page_has_every_tool_with_its_arguments_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^`].*? \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    documented = {tool: [cell.strip("*`") for cell in arguments.split(", ")] for tool, arguments in rows}
    assert documented == {spec.name: list(spec.input_schema["properties"]) for spec in agent_tools(BOTH)}
    required = {tool: re.findall(r"\*\*`(\w+)`\*\*", arguments) for tool, arguments in rows}
    assert required == {spec.name: spec.input_schema.get("required", []) for spec in agent_tools(BOTH)}
