"""A result is within its caps, and says what was cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.results import Asked, Caps, Column, CutCell, CutText
from agentdb_mcp.execution.cutting import Rows, cut, cut_cells, longest_cell


def characters(rows: Rows) -> int:
    return sum(len(cell) for row in rows for cell in row if isinstance(cell, str))


def size(rows: Rows) -> int:
    return len(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())


def test_what_fits_is_left_alone() -> None:
    rows: Rows = ((1, "a"), (None, "b"))
    assert cut(rows, Caps(rows=2, bytes=1000), 2) == (rows, None)


def test_a_row_too_many_is_cut_and_said() -> None:
    assert cut(((1,), (2,), (3,)), Caps(rows=2, bytes=1000), 0) == (((1,), (2,)), "rows")


def test_no_rows_at_all_can_be_asked_for() -> None:
    assert cut(((1,),), Caps(rows=0, bytes=1000), 0) == ((), "rows")


def test_rows_past_the_bytes_are_cut_and_said() -> None:
    rows: Rows = tuple(("x" * 10,) for _ in range(10))
    kept, truncated = cut(rows, Caps(rows=100, bytes=50), characters(rows))
    assert (kept, truncated) == (rows[:3], "bytes")


def test_a_first_row_that_is_too_large_leaves_no_rows() -> None:
    assert cut((("x" * 100,),), Caps(rows=10, bytes=50), 100) == ((), "bytes")


def test_bytes_are_counted_not_characters() -> None:
    rows: Rows = (("日" * 10,), ("日" * 10,))
    assert cut(rows, Caps(rows=10, bytes=60), 20) == (rows[:1], "bytes")


def test_characters_that_json_writes_long_count_as_written() -> None:
    rows: Rows = (("\x01" * 10,),)
    assert cut(rows, Caps(rows=10, bytes=60), 10) == ((), "bytes")
    assert cut(rows, Caps(rows=10, bytes=66), 10) == (rows, None)


def test_a_row_the_driver_began_to_drop_is_cut_with_all_that_follow() -> None:
    # The driver kept the value that crossed the line and dropped the rest, as NULLs.
    rows: Rows = (("aaaa", "bbbb"), ("c" * 30, None), (None, None))
    assert cut(rows, Caps(rows=10, bytes=30), 38) == (rows[:1], "bytes")


def test_a_dropped_row_beyond_the_row_cap_costs_nothing() -> None:
    rows: Rows = (("a",), ("b" * 100,))
    assert cut(rows, Caps(rows=1, bytes=50), 101) == (rows[:1], "rows")


def test_rows_without_columns_have_a_size_too() -> None:
    rows: Rows = ((),) * 20
    assert cut(rows, Caps(rows=100, bytes=100), 0) == (rows, None)
    kept, truncated = cut(rows, Caps(rows=100, bytes=20), 0)
    assert truncated == "bytes"
    assert size(kept) <= 20


def test_rows_past_the_tokens_are_cut_and_said() -> None:
    rows: Rows = tuple(("ä" * 6,) for _ in range(10))  # 10 characters a row, and a line break
    assert cut(rows, Caps(), 60, 109) == (rows[:9], "tokens")
    assert cut(rows, Caps(), 60, 110) == (rows, None)


def test_what_cannot_be_seen_counts_as_it_is_written() -> None:
    rows: Rows = (("\u2028",), ("\x85\u2029",))
    assert cut(rows, Caps(), 3, 11 + 17) == (rows, None)
    assert cut(rows, Caps(), 3, 11 + 16) == (rows[:1], "tokens")
    tags: Rows = (("a",), ("\U000e0041",))
    assert cut(tags, Caps(), 2, 6 + 17) == (tags, None)
    assert cut(tags, Caps(), 2, 6 + 16) == (tags[:1], "tokens")


def test_one_row_is_given_whatever_its_tokens() -> None:
    rows: Rows = (("x" * 50,), ("y",))
    assert cut(rows, Caps(), 51, -1) == (rows[:1], "tokens")
    assert cut(rows[:1], Caps(), 50, 0) == (rows[:1], None)


def test_what_stops_a_result_first_is_named() -> None:
    rows: Rows = tuple(("ä" * 10,) for _ in range(10))  # 24 bytes and 14 characters a row
    assert cut(rows, Caps(bytes=100), 100, 57)[1] == "bytes"
    assert cut(rows, Caps(bytes=100), 100, 44)[1] == "tokens"
    assert cut(rows, Caps(bytes=100, rows=3), 100, 57)[1] == "rows"


def test_the_wide_columns_of_a_row_share_the_tokens() -> None:
    columns = [Column("a", "text")] * 3
    assert longest_cell(Caps(tokens=1_000, cell=10_000), columns, 1) == 4_000 - 300 - 24
    assert longest_cell(Caps(tokens=1_000, cell=10_000), columns, 3) == (4_000 - 300 - 24) // 3
    assert longest_cell(Caps(tokens=1_000, cell=50), columns, 3) == 50
    assert longest_cell(Caps(tokens=1, cell=10_000), columns, 3) == 40


def test_the_cells_that_were_cut_are_listed() -> None:
    rows: Rows = ((1, CutText("ab", 9)), ("ab…[+7 of 9 chars]", None), (CutText("", 3), 1))
    assert cut_cells(rows) == (CutCell(0, 1, 2, 9), CutCell(2, 0, 0, 3))


cells = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)


@given(st.lists(st.tuples(cells, cells), max_size=12), st.integers(0, 12), st.integers(2, 300))
def test_nothing_passes_the_caps_and_nothing_is_cut_without_need(
    rows: list, most_rows: int, most_bytes: int
) -> None:
    given_rows: Rows = tuple(rows)
    kept, truncated = cut(given_rows, Caps(rows=most_rows, bytes=most_bytes), characters(given_rows))
    assert kept == given_rows[: len(kept)]
    assert len(kept) <= most_rows
    assert size(kept) <= most_bytes
    next_one = given_rows[: len(kept) + 1]
    match truncated:
        case None:
            assert kept == given_rows
        case "rows":
            assert len(kept) == most_rows
        case "bytes":
            assert size(next_one) > most_bytes


@pytest.mark.parametrize(("asked", "granted"), [(None, 100), (10, 10), (1000, 100), (0, 0), (-5, 0)])
def test_a_caller_can_lower_the_rows_and_never_raise_them(asked: int | None, granted: int) -> None:
    lowered = Caps(rows=100, bytes=7, seconds=3).lowered(Asked(rows=asked))
    assert (lowered.rows, lowered.bytes, lowered.seconds) == (granted, 7, 3)


@pytest.mark.parametrize(("asked", "granted"), [(None, 100), (10, 10), (1000, 100), (0, 0), (-5, 0)])
def test_a_caller_can_lower_the_bytes_and_never_raise_them(asked: int | None, granted: int) -> None:
    lowered = Caps(rows=7, bytes=100, seconds=3).lowered(Asked(bytes=asked))
    assert (lowered.rows, lowered.bytes, lowered.seconds) == (7, granted, 3)


@pytest.mark.parametrize(("asked", "granted"), [(None, 100), (10, 10), (1000, 100), (0, 0), (-5, 0)])
def test_a_caller_can_lower_the_tokens_and_never_raise_them(asked: int | None, granted: int) -> None:
    assert Caps(tokens=100).lowered(Asked(tokens=asked)) == Caps(tokens=granted)


@pytest.mark.parametrize(("asked", "granted"), [(None, 100), (10, 10), (1000, 1000), (0, 0), (-5, 0)])
def test_a_caller_can_lower_and_raise_the_characters_of_a_cell(asked: int | None, granted: int) -> None:
    assert Caps(cell=100).lowered(Asked(cell=asked)) == Caps(cell=granted)


def test_what_is_not_asked_anew_holds_from_before() -> None:
    assert Asked(rows=3).over(Asked(rows=5, bytes=9)) == Asked(rows=3, bytes=9)
    assert Asked(bytes=2).over(Asked(rows=5, bytes=9)) == Asked(rows=5, bytes=2)
    assert Asked(cell=2).over(Asked(tokens=5, cell=9)) == Asked(tokens=5, cell=2)


def test_a_policys_ceiling_of_time_lowers_and_never_raises() -> None:
    assert Caps(seconds=30).within(5).seconds == 5
    assert Caps(seconds=30).within(60).seconds == 30
    assert Caps(rows=7, bytes=9, seconds=30).within(5) == Caps(rows=7, bytes=9, seconds=5)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 3), (1, 1), (0.5, 0.5), (9, 3), (float("inf"), 3)])
def test_a_caller_can_shorten_its_deadline_and_not_put_it_off(asked: float | None, seconds: float) -> None:
    assert Caps(seconds=3).within(asked).seconds == seconds


def test_a_deadline_is_each_calls_own() -> None:
    assert Asked(seconds=1).over(Asked(seconds=5)).seconds == 1
    assert Asked().over(Asked(seconds=5)).seconds is None
