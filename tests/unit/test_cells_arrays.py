"""Array literals as PostgreSQL writes them, and literals of ours that it reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.results import Cell
from agentdb_mcp.execution.arrays import parse_array, render_array


def texts(literal: str, delimiter: str = ",") -> Cell:
    return parse_array(literal, str, delimiter)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("{}", []),
        ("{a}", ["a"]),
        ("{a,b}", ["a", "b"]),
        ("{NULL}", [None]),
        ('{"NULL"}', ["NULL"]),
        ("{NULLS,x}", ["NULLS", "x"]),
        ('{""}', [""]),
        ('{"a,b","c{d}"}', ["a,b", "c{d}"]),
        (r'{"q\"uote","back\\slash"}', ['q"uote', "back\\slash"]),
        ('{"new\nline"}', ["new\nline"]),
        ("{{a,b},{c,NULL}}", [["a", "b"], ["c", None]]),
        ('{{{"x y"}},{{z}}}', [[["x y"]], [["z"]]]),
        ("{2026-01-01 00:00:00+00}", ["2026-01-01 00:00:00+00"]),
        ("{é,日本}", ["é", "日本"]),
    ],
)
def test_a_literal_becomes_nested_lists(literal: str, expected: Cell) -> None:
    assert texts(literal) == expected


@pytest.mark.parametrize("literal", ["[0:1]={a,b}", "[2:2][3:3]={{x}}"])
def test_a_literal_with_its_own_bounds_stays_text(literal: str) -> None:
    assert texts(literal) == literal


def test_another_delimiter_separates_boxes() -> None:
    assert texts("{(1,1),(0,0);(3,3),(2,2)}", ";") == ["(1,1),(0,0)", "(3,3),(2,2)"]


element = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
array = st.lists(element, min_size=1) | st.lists(st.lists(element, min_size=2, max_size=2), min_size=1)


@given(array, st.sampled_from([",", ";"]))
def test_what_is_rendered_reads_back_the_same(items: list[object], delimiter: str) -> None:
    assert texts(render_array(items, delimiter), delimiter) == items  # pyright: ignore[reportArgumentType]
