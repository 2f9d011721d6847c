"""One statement or several: never both, never none, and what is wrong with one is said of that one."""

from typing import Any

import pytest

from agentdb_mcp.core.changes import Statement
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.entrypoints.mcp.statements import statements_of

ONE = {"sql": "select 1"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"sql": "a"}, [Statement("a", ())]),
        ({"sql": "a", "params": [1]}, [Statement("a", [1])]),
        (
            {"statements": [{"sql": "a"}, {"sql": "b", "params": [None]}]},
            [Statement("a", []), Statement("b", [None])],
        ),
        ({"statements": [ONE] * 50}, [Statement("select 1", [])] * 50),
    ],
)
def test_what_is_to_run_is_read_in_order(arguments: dict[str, Any], expected: list[Statement]) -> None:
    assert list(statements_of(arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Either sql or statements"),
        ({"sql": "a", "statements": [ONE]}, "instead of sql and params"),
        ({"params": [1], "statements": [ONE]}, "instead of sql and params"),
        ({"statements": []}, "1 to 50 statements, not 0"),
        ({"statements": [ONE] * 51}, "1 to 50 statements, not 51"),
    ],
)
def test_it_is_one_way_or_the_other(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        statements_of(arguments)
    assert refused.value.code == "bad_argument"


@pytest.mark.parametrize(
    "wrong", ["select 1", None, {}, {"sql": 1}, {"sql": "a", "params": {}}, {"sql": "a", "param": []}, ["a"]]
)
def test_a_statement_of_another_form_is_named(wrong: Any) -> None:
    with pytest.raises(Invalid) as refused:
        statements_of({"statements": [ONE, wrong, ONE]})
    assert refused.value.statement == 2
    assert "statements[1]" in refused.value.message
