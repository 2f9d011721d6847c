"""Comparing shapes: small, exact, and never larger than what is worth keeping."""

import json

from agentdb_mcp.core.shapes import (
    LONGEST_CHANGES,
    NO_SHAPE,
    ColumnChange,
    Shape,
    TableChange,
    decoded,
    differences,
    encoded,
)


def shape(*tables: list[object]) -> Shape:
    return Shape("m", json.dumps(tables))


def test_equal_shapes_differ_in_nothing() -> None:
    one = shape([1, "s", "t", "r", "d", [[1, "a", "int"]]])
    assert differences(one, one) == ()
    assert differences(NO_SHAPE, NO_SHAPE) == ()


def test_a_table_made_anew_under_the_same_name_is_another() -> None:
    before, after = shape([1, "s", "t", "r", "d", None]), shape([2, "s", "t", "r", "d", None])
    assert [change.change for change in differences(before, after)] == ["dropped", "added"]


def test_a_table_that_moved_says_from_where() -> None:
    before, after = shape([1, "s", "t", "v", "d", None]), shape([1, "u", "t", "v", "e", None])
    assert differences(before, after) == (TableChange("u", "t", "view", "renamed", "s.t"),)


def test_changes_survive_being_kept() -> None:
    changes = (
        TableChange("s", "é\n", "table", "changed", None, (ColumnChange("a", "retyped", "int", "text"),)),
        TableChange("s", "u", "foreign table", "dropped"),
    )
    assert decoded(encoded(changes)) == changes


def test_more_changes_than_are_worth_keeping_are_not_kept() -> None:
    many = tuple(TableChange("s", f"table_{n}", "table", "added") for n in range(LONGEST_CHANGES // 40))
    assert encoded(many) is None
    assert decoded(None) is None
