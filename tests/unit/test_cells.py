"""PostgreSQL's text becomes the cell that core/results.py promises, and nothing past the allowance is kept."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.results import Cell, CutText
from agentdb_mcp.execution.cells import EXACT_INTEGER, NARROW_WIDTH, Meter
from agentdb_mcp.execution.pgtypes import BUILTIN

OIDS = {kind.name: oid for oid, kind in BUILTIN.items()}


def cell(type_name: str, text: str, allowance: int = 1_000_000) -> Cell:
    meter = Meter()
    meter.left = allowance
    return meter.converter(OIDS[type_name], BUILTIN)(text)


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("boolean", "t", True),
        ("boolean", "f", False),
        ("smallint", "-32768", -32768),
        ("integer", "2147483647", 2147483647),
        ("bigint", "9007199254740991", 9007199254740991),
        ("bigint", "-9007199254740991", -9007199254740991),
        ("bigint", "9007199254740992", "9007199254740992"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        ("real", "0.1", 0.1),
        ("double precision", "1e+308", 1e308),
        ("double precision", "-0", -0.0),
        ("double precision", "NaN", "NaN"),
        ("double precision", "Infinity", "Infinity"),
        ("real", "-Infinity", "-Infinity"),
        ("numeric", "1.10", "1.10"),
        ("numeric", "NaN", "NaN"),
        ("text", "", ""),
        ("text", "NULL", "NULL"),
        ("json", "null", "null"),
        ("jsonb", '{"a": 1.10}', '{"a": 1.10}'),
        ("bytea", "\\x00ff", "\\x00ff"),
        ("date", "infinity", "infinity"),
        ("timestamp with time zone", "0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
        ("int4range", "[1,3)", "[1,3)"),
        ("int2vector", "1 2", "1 2"),
        ("anyarray", "{1,2}", "{1,2}"),
        ("oid", "4294967295", "4294967295"),
        ("integer[]", "{1,NULL,3}", [1, None, 3]),
        ("boolean[]", "{t,f}", [True, False]),
        ("bigint[]", "{1,9007199254740993}", [1, "9007199254740993"]),
        ("double precision[]", "{0.5,NaN}", [0.5, "NaN"]),
        ("numeric[]", "{1.10,2}", ["1.10", "2"]),
        ("text[]", '{NULL,"NULL",null}', [None, "NULL", "null"]),
        ("jsonb[]", '{"{\\"a\\": 1}",null}', ['{"a": 1}', "null"]),
        ("box[]", "{(2,2),(1,1);(4,4),(3,3)}", ["(2,2),(1,1)", "(4,4),(3,3)"]),
        ("integer[]", "[0:1]={7,8}", "[0:1]={7,8}"),
    ],
)
def test_each_type_has_its_cell(type_name: str, text: str, expected: Cell) -> None:
    found = cell(type_name, text)
    assert found == expected
    assert type(found) is type(expected)


def test_minus_zero_stays_minus_zero() -> None:
    found = cell("double precision", "-0")
    assert isinstance(found, float)
    assert math.copysign(1, found) == -1


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_no_json_reader_rounds_a_bigint(number: int) -> None:
    found = cell("bigint", str(number))
    assert found == (number if abs(number) <= EXACT_INTEGER else str(number))
    if isinstance(found, int):
        assert int(float(found)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_with_the_digits_it_came_with(number: float) -> None:
    assert json.loads(json.dumps(cell("double precision", repr(number)))) == number


def test_texts_past_the_allowance_are_dropped() -> None:
    meter = Meter()
    meter.left = 5
    texts = meter.converter(OIDS["text"], BUILTIN)
    lists = meter.converter(OIDS["integer[]"], BUILTIN)
    assert [texts("123"), texts("456"), texts("7"), lists("{1}")] == ["123", "456", None, None]
    assert meter.left == -1


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("text", "12345", "12345"),
        ("text", "123456", "12345…[+1 of 6 chars]"),
        ("text", "😀" * 6, "😀😀😀😀😀…[+1 of 6 chars]"),
        ("jsonb", '{"a": 1}', '{"a":…[+3 of 8 chars]'),
        ("integer[]", "{1,2}", [1, 2]),
        ("integer[]", "{1,2,3}", "{1,2,…[+2 of 7 chars]"),
        ("bigint", "9007199254740993", "9007199254740993"),
        ("date", "2026-11-22", "2026-11-22"),
    ],
)
def test_a_long_text_is_cut_and_says_its_true_length(type_name: str, text: str, expected: Cell) -> None:
    meter = Meter()
    meter.left, meter.longest = 1_000, 5
    found = meter.converter(OIDS[type_name], BUILTIN)(text)
    assert found == expected
    assert isinstance(found, CutText) == (meter.cuts == 1) == ("chars]" in str(expected))


def test_what_looks_like_a_mark_is_not_one() -> None:
    meter = Meter()
    meter.left = 100
    assert type(meter.text("a…[+1 of 2 chars]")) is str


def test_a_text_that_is_cut_counts_for_what_is_given_of_it() -> None:
    meter = Meter()
    meter.left, meter.longest = 100, 5
    assert meter.left - len(str(meter.text("x" * 1_000_000))) == meter.left


def test_an_array_counts_like_a_text() -> None:
    meter = Meter()
    meter.left = 5
    assert meter.converter(OIDS["integer[]"], BUILTIN)("{1,2}") == [1, 2]
    assert meter.left == 0


@pytest.mark.parametrize(
    ("type_name", "longest"),
    [
        ("boolean", "t"),
        ("bigint", "-9223372036854775808"),
        ("double precision", "-2.2250738585072014e-308"),
        ("date", "5874897-12-31 BC"),
        ("timestamp with time zone", "294276-12-31 23:59:59.999999+00 BC"),
        ("time with time zone", "24:00:00.000000+15:59:59"),
        ("uuid", "00000000-0000-0000-0000-000000000000"),
        ("oid", "4294967295"),
    ],
)
def test_narrow_types_cost_nothing_of_the_allowance_and_are_within_their_bound(
    type_name: str, longest: str
) -> None:
    assert cell(type_name, longest, allowance=-1) is not None
    assert len(longest) <= NARROW_WIDTH
