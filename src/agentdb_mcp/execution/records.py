"""An outcome as text and back, exactly: what a call is told that is sent again."""

import json
from dataclasses import fields
from typing import Any

from agentdb_mcp.core.changes import Outcome
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.results import Cell, Column, CutCell, CutText, ResultSet


def record_of(outcome: Outcome) -> str:
    """The results of a change. NUL cannot be in a cell, and escapes keep everything else."""
    return json.dumps(outcome.results, default=_fields, separators=(",", ":"))


def read_record(text: str) -> Outcome:
    """That outcome, marked as replayed. Raises Unavailable("internal") for a text that is no record."""
    try:
        return Outcome(tuple(_result(each) for each in json.loads(text)), replayed=True)
    except (ValueError, TypeError, LookupError):
        raise Unavailable(
            "internal",
            "The change was made by an earlier call with this key; the record of its results cannot be read.",
            "Look at the data; do not make the change again.",
        ) from None


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _result(given: dict[str, Any]) -> ResultSet:
    cut = tuple(CutCell(**each) for each in given["cut"])
    rows: list[list[Cell]] = given["rows"]
    for each in cut:
        text = str(rows[each.row][each.column])
        rows[each.row][each.column] = CutText(text[: each.kept], each.length)
    lists: dict[str, Any] = {
        "columns": tuple(Column(**each) for each in given["columns"]),
        "rows": tuple(map(tuple, rows)),
        "cut": cut,
        "notices": tuple(given["notices"]),
    }
    return ResultSet(**{**given, **lists})
