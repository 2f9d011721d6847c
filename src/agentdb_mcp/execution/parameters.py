"""From the caller's JSON to PostgreSQL's text: every parameter goes over as text and the server reads it."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import JsonValue
from agentdb_mcp.execution.arrays import ArrayItem, render_array
from agentdb_mcp.execution.pgtypes import JSON_OIDS, PgType

_json: Final = json.JSONEncoder(ensure_ascii=False).encode

MOST_PARAMETERS: Final = 32_767
"""The driver's limit for one statement (the protocol itself counts to 65,535)."""


def encode(params: Sequence[JsonValue], oids: Sequence[int], types: Mapping[int, PgType]) -> list[str | None]:
    """One text (or NULL) per parameter. Raises Invalid("bad_argument") naming the one that cannot be sent."""
    if len(params) != len(oids):
        raise Invalid(
            "bad_argument", _count(len(oids), len(params)), "Pass one value in `params` for each $n."
        )
    return [
        _checked(text_of(value, types[oid]), number)
        for number, (value, oid) in enumerate(zip(params, oids, strict=True), 1)
    ]


def refuse_too_many(params: Sequence[JsonValue]) -> None:
    """Raises Invalid before anything is sent."""
    if len(params) > MOST_PARAMETERS:
        raise Invalid(
            "bad_argument",
            f"{len(params):,} parameters were given; a statement takes at most {MOST_PARAMETERS:,}.",
            "Pass the values as one array, e.g. `= ANY($1)` or `unnest($1::int[])`, or split the work.",
        )


def _count(wanted: int, given: int) -> str:
    noun = "parameter" if wanted == 1 else "parameters"
    return f"The statement has {wanted or 'no'} {noun}; {given or 'none'} given."


def text_of(value: JsonValue, kind: PgType) -> str | None:
    """What PostgreSQL reads for a value of this type; None for NULL."""
    if isinstance(value, list) and kind.element:
        return render_array([_element(item, kind.element) for item in value], kind.delimiter)
    return scalar(value)


def _element(item: JsonValue, element_oid: int) -> ArrayItem:
    # A list inside a list is a further dimension, except in arrays of json, where it is a JSON array.
    if isinstance(item, list) and element_oid not in JSON_OIDS:
        return [_element(inner, element_oid) for inner in item]
    return scalar(item)


def scalar(value: JsonValue) -> str | None:
    """The same for a value that is no array."""
    if value is None or isinstance(value, str):
        return value
    return _json(value)


def _checked(text: str | None, number: int) -> str | None:
    if text is None:
        return None
    if "\0" in text:
        raise Invalid(
            "bad_argument", f"Parameter ${number} holds a NUL character; PostgreSQL's text has none."
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Invalid("bad_argument", f"Parameter ${number} holds half a surrogate pair.") from None
    return text
