"""Parameters go over as text: JSON's values by rules, refused with their number when they cannot be sent."""

import pytest

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import JsonValue
from agentdb_mcp.execution.parameters import MOST_PARAMETERS, encode, refuse_too_many
from agentdb_mcp.execution.pgtypes import BUILTIN

OIDS = {kind.name: oid for oid, kind in BUILTIN.items()}


def sent(value: JsonValue, type_name: str = "text") -> str | None:
    return encode([value], [OIDS[type_name]], BUILTIN)[0]


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        (None, "text", None),
        (None, "jsonb", None),
        (True, "boolean", "true"),
        (False, "text", "false"),
        (42, "integer", "42"),
        (2**63, "numeric", "9223372036854775808"),
        (1.5, "real", "1.5"),
        (1e300, "double precision", "1e+300"),
        (float("nan"), "double precision", "NaN"),
        (float("-inf"), "double precision", "-Infinity"),
        ("", "text", ""),
        ("null", "jsonb", "null"),
        ("  as is ", "integer", "  as is "),
        ({"a": [1, None, "é"]}, "jsonb", '{"a": [1, null, "é"]}'),
        ([1, 2], "jsonb", "[1, 2]"),
        ([1, "two", None], "text[]", '{"1","two",NULL}'),
        ([[1, 2], [3, 4]], "integer[]", '{{"1","2"},{"3","4"}}'),
        ([], "integer[]", "{}"),
        ([True], "boolean[]", '{"true"}'),
        ([{"a": 1}, [1, 2], None, "3"], "jsonb[]", '{"{\\"a\\": 1}","[1, 2]",NULL,"3"}'),
        (["(1,1),(0,0)", "(2,2),(0,0)"], "box[]", '{"(1,1),(0,0)";"(2,2),(0,0)"}'),
        ("{1,2}", "integer[]", "{1,2}"),
        (['q"\\'], "text[]", '{"q\\"\\\\"}'),
    ],
)
def test_each_json_value_has_its_text(value: JsonValue, type_name: str, expected: str | None) -> None:
    assert sent(value, type_name) == expected


@pytest.mark.parametrize(
    ("value", "word"),
    [("a\0b", "NUL"), ("\ud800", "surrogate"), (["x", "\0"], "NUL"), ({"k": "\udfff"}, "surrogate")],
)
def test_text_that_postgresql_cannot_hold_is_refused_with_its_number(value: JsonValue, word: str) -> None:
    kind = "text[]" if isinstance(value, list) else "text"
    with pytest.raises(Invalid) as caught:
        encode(["fine", value], [OIDS["text"], OIDS[kind]], BUILTIN)
    assert caught.value.code == "bad_argument"
    assert "$2" in caught.value.message
    assert word in caught.value.message


def test_a_nul_escaped_inside_json_is_left_to_postgresql_to_judge() -> None:
    assert sent({"k": "\0"}, "json") == '{"k": "\\u0000"}'


@pytest.mark.parametrize(
    ("wanted", "given", "message"),
    [
        (1, 0, "The statement has 1 parameter; none given."),
        (0, 2, "The statement has no parameters; 2 given."),
        (2, 3, "The statement has 2 parameters; 3 given."),
    ],
)
def test_a_wrong_number_of_parameters_is_told_in_numbers(wanted: int, given: int, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        encode(["x"] * given, [OIDS["text"]] * wanted, BUILTIN)
    assert (caught.value.code, caught.value.message) == ("bad_argument", message)


def test_more_parameters_than_a_statement_takes_are_refused_before_anything_is_sent() -> None:
    refuse_too_many([1] * MOST_PARAMETERS)
    with pytest.raises(Invalid) as caught:
        refuse_too_many([1] * 100_000)
    assert caught.value.code == "bad_argument"
    assert "100,000" in caught.value.message
