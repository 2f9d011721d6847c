"""Arguments are held against the schema, and whoever sent wrong ones learns which are right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.entrypoints.mcp.arguments import checked, unknown_tool
from agentdb_mcp.entrypoints.mcp.tools import ToolSpec, agent_tools

TOOLS = {spec.name: spec for spec in agent_tools((Kind.AGENT, Kind.GLOBAL))}
NAMES = sorted({name for spec in TOOLS.values() for name in spec.input_schema["properties"]})

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["agent", "global", "select 1", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def refusal(tool: str, arguments: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as refused:
        checked(TOOLS[tool], arguments)
    assert refused.value.code == "bad_argument"
    return refused.value


@given(
    st.sampled_from(sorted(TOOLS)),
    st.dictionaries(st.sampled_from([*NAMES, "workspace", "user"]), values, max_size=5),
)
def test_the_verdict_is_that_of_json_schema(tool: str, arguments: dict[str, Any]) -> None:
    valid = Draft202012Validator(TOOLS[tool].input_schema).is_valid(arguments)
    try:
        fitting = checked(TOOLS[tool], arguments)
    except Invalid:
        assert not valid
    else:
        assert valid
        assert fitting == arguments


@pytest.mark.parametrize("spec", TOOLS.values(), ids=lambda spec: spec.name)
def test_no_schema_uses_a_keyword_that_is_not_checked(spec: ToolSpec) -> None:
    known = {"type", "enum", "default", "description"}
    assert {keyword for schema in spec.input_schema["properties"].values() for keyword in schema} <= known


def test_a_whole_number_written_as_a_fraction_becomes_an_integer() -> None:
    fitting = checked(TOOLS["query"], {"sql": "select 1", "max_rows": 10.0})
    assert type(fitting["max_rows"]) is int


def test_an_unknown_argument_is_refused_with_the_known_ones() -> None:
    error = refusal("query", {"sql": "select 1", "workspace_id": "w2"})
    assert error.message == "query has no argument 'workspace_id'."
    assert (
        error.hint
        == "query takes: sql, params, cursor, max_rows, max_bytes, max_tokens, max_cell, transaction, timeout, database."
    )


def test_a_misspelt_argument_is_recognized() -> None:
    assert refusal("query", {"sq": "select 1"}).message == "query has no argument 'sq'. Did you mean sql?"


def test_a_missing_argument_is_named() -> None:
    assert (
        refusal("describe_table", {"schema": "public"}).message == "describe_table needs the argument table."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": ["select 1"]}, "sql must be a string, not an array."),
        ({"sql": None}, "sql must be a string, not null."),
        ({"sql": "select 1", "params": {"1": 2}}, "params must be an array, not an object."),
        ({"sql": "select 1", "max_rows": True}, "max_rows must be a whole number, not true or false."),
        ({"sql": "select 1", "max_rows": 1.5}, "max_rows must be a whole number, not a fraction."),
        ({"sql": "select 1", "max_rows": "ten"}, "max_rows must be a whole number, not a string."),
        ({"sql": "select 1", "timeout": "1"}, "timeout must be a number, not a string."),
        ({"sql": "select 1", "timeout": True}, "timeout must be a number, not true or false."),
        ({"sql": "select 1", "database": "prod"}, 'database must be "agent" or "global" here, not \'prod\'.'),
    ],
)
def test_an_ill_typed_argument_is_refused_in_words(arguments: dict[str, Any], message: str) -> None:
    assert refusal("query", arguments).message == message


@pytest.mark.parametrize("value", ["true", 1, 0, None, []])
def test_a_switch_is_true_or_false_and_nothing_like_it(value: Any) -> None:
    assert refusal("execute", {"sql": "", "dry_run": value}).message.startswith(
        "dry_run must be true or false, not "
    )


@pytest.mark.parametrize(
    "arguments",
    [{"x" * 1_000_000: 1, "sql": ""}, {"sql": ["y" * 1_000_000]}, {"sql": "", "database": "z" * 1_000_000}],
)
def test_what_is_refused_is_not_repeated_at_length(arguments: dict[str, Any]) -> None:
    assert len(str(refusal("query", arguments))) < 250


def test_an_unknown_tool_is_answered_with_the_tools_there_are() -> None:
    error = unknown_tool("run_sql" * 1_000, TOOLS)
    assert error.code == "bad_argument"
    assert len(error.message) < 100
    assert (
        error.hint
        == "The tools are: query, execute, execute_ddl, load_rows, transaction, explain, list_tables, describe_table, database_info."
    )
