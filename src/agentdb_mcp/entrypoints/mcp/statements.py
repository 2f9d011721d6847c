"""What a call that changes something asks for: one statement, several as `statements`, or a load."""

from collections.abc import Mapping
from typing import Any, Final, cast

from agentdb_mcp.core.changes import MOST_STATEMENTS, Statement
from agentdb_mcp.core.errors import Invalid

_FORM: Final = 'A statement of several is {"sql": "…", "params": […]}; params may be left out.'


def statements_of(arguments: Mapping[str, Any]) -> tuple[Statement, ...]:
    """What is to run, in order. Raises Invalid("bad_argument")."""
    if "statements" not in arguments:
        if "sql" not in arguments:
            raise Invalid("bad_argument", "Either sql or statements is needed.", _FORM)
        return (Statement(arguments["sql"], arguments.get("params", ())),)
    if "sql" in arguments or "params" in arguments:
        raise Invalid("bad_argument", "statements stands instead of sql and params, not beside them.", _FORM)
    given: list[Any] = arguments["statements"]
    if not 0 < len(given) <= MOST_STATEMENTS:
        raise Invalid(
            "bad_argument",
            f"statements holds 1 to {MOST_STATEMENTS} statements, not {len(given)}.",
            "One INSERT can take many rows: VALUES of several, or unnest($1::int[], $2::text[]).",
        )
    return tuple(_statement(number, each) for number, each in enumerate(given, 1))


def _statement(number: int, given: Any) -> Statement:
    fields = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    params = fields.get("params", [])
    if (
        not isinstance(fields.get("sql"), str)
        or not isinstance(params, list)
        or fields.keys() - {"sql", "params"}
    ):
        refused = Invalid(
            "bad_argument", f"statements[{number - 1}] is not of the form that is needed.", _FORM
        )
        refused.statement = number
        raise refused
    return Statement(fields["sql"], cast("list[Any]", params))


def load_of(arguments: Mapping[str, Any]) -> Statement:
    """A load, as a person is told of it."""
    rows: list[Any] = arguments["rows"]
    return Statement(f"load_rows {arguments['table']}: {len(rows):,} rows", [arguments["columns"], rows])
