"""From the caller's JSON to PostgreSQL's binary form, so that what is wrong is known before it is sent.

The forms are those of the server's `*_recv` functions (src/backend/utils/adt). Whatever is not decided here
with certainty, types and spellings, is left to PostgreSQL's own reading of text.
"""

import json
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from math import isinf
from typing import Final, NoReturn

from agentdb_mcp.core.results import JsonValue
from agentdb_mcp.execution.parameters import scalar
from agentdb_mcp.execution.pgtypes import BUILTIN, JSON_OIDS, PgType

Encode = Callable[[JsonValue], bytes]


class OnlyPostgresKnows(Exception):
    """A value that may be right, in a spelling that is not read here."""


_WHOLE: Final = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_NUMBER: Final = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_NUMBER_ELSE: Final = re.compile(r"\s*[+-]?(0[xXoObB]|[0-9].*_|[iI][nN][fF]|[nN][aA][nN])", re.ASCII)
_UUID: Final = re.compile(r"([0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATE: Final = re.compile(_DAY)
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_ZONE: Final = r"(Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?"
_MOMENT: Final = re.compile(_DAY + "[ T]" + _TIME + _ZONE)
_TRUE: Final = frozenset({"t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"})
_FALSE: Final = frozenset({"f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"})

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_INT: Final = struct.Struct(">i")
_BIGINT: Final = struct.Struct(">q")
_MOST_DIGITS: Final = 1_000
_SPACE: Final = " \t\n\r\v\f"


def encoder(oid: int, kind: PgType) -> Encode | None:
    """How values of this type go over; None for a type whose binary form is not known here."""
    inner = _ENCODERS.get(kind.element)
    if inner is not None and oid in BUILTIN:  # a domain over an array may have another form
        return partial(_array, oid=kind.element, encode=inner)
    return _ENCODERS.get(oid)


def _wrong(value: JsonValue, what: str) -> NoReturn:
    shown = scalar(value) or "null"
    raise ValueError(f"{(shown if len(shown) <= 40 else shown[:40] + '…')!r} is not {what}")


def _text(value: JsonValue) -> bytes:
    return utf8(scalar(value) or "")


def utf8(text: str) -> bytes:
    """Its bytes. Raises ValueError for what PostgreSQL's text cannot hold."""
    if "\0" in text:
        raise ValueError("it holds a NUL character; PostgreSQL's text has none")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a surrogate pair") from None


def _integer(bits: int, name: str) -> Encode:
    most, pack = 2 ** (bits - 1), struct.Struct({16: ">h", 32: ">i", 64: ">q"}[bits]).pack

    def encode(value: JsonValue) -> bytes:
        number = value if type(value) is int else _whole(value, name)
        if not -most <= number < most:
            _wrong(value, f"within the range of {name}")
        return pack(number)

    return encode


def _whole(value: JsonValue, name: str) -> int:
    text = scalar(value) or ""
    if _WHOLE.fullmatch(text) and len(text) <= _MOST_DIGITS:
        return int(text)
    if _WHOLE.fullmatch(text) or _NUMBER_ELSE.match(text):
        raise OnlyPostgresKnows
    _wrong(value, f"of type {name}")


def _plain_number(value: JsonValue, name: str) -> str:
    text = scalar(value) or ""
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        if _NUMBER_ELSE.match(text):
            raise OnlyPostgresKnows
        _wrong(value, f"of type {name}")
    return text


def _double(value: JsonValue) -> bytes:
    text = _plain_number(value, "double precision")
    number = float(text)
    if isinf(number):
        _wrong(value, "within the range of double precision")
    if not number and re.search("[1-9]", re.split("[eE]", text)[0]):  # too small, or all but
        raise OnlyPostgresKnows
    return struct.pack(">d", number)


def _numeric(value: JsonValue) -> bytes:
    text = _plain_number(value, "numeric").strip(_SPACE)
    whole, _, part = text.lstrip("+-").partition(".")
    if "e" in text or "E" in text:
        whole, part = _without_exponent(text)
    if len(whole) + len(part) > _MOST_DIGITS:
        raise OnlyPostgresKnows
    before = whole.lstrip("0")
    weight = (len(before) + 3) // 4 - 1
    padded = before.zfill(4 * (weight + 1)) + part.ljust((len(part) + 3) // 4 * 4, "0")
    groups = [int(padded[start : start + 4]) for start in range(0, len(padded), 4)]
    while groups and not groups[-1]:
        del groups[-1]
    while groups and not groups[0]:
        del groups[0]
        weight -= 1
    sign = 0x4000 if text[0] == "-" and groups else 0
    head = (len(groups), weight if groups else 0, sign, len(part))
    return struct.pack(f">hhHh{len(groups)}h", *head, *groups)


def _without_exponent(text: str) -> tuple[str, str]:
    _, digits, exponent = Decimal(text).as_tuple()
    if not isinstance(exponent, int) or abs(exponent) > _MOST_DIGITS:
        raise OnlyPostgresKnows
    scale = max(-exponent, 0)
    written = ("".join(map(str, digits)) + "0" * max(exponent, 0)).zfill(scale)
    return written[: len(written) - scale], written[len(written) - scale :]


def _boolean(value: JsonValue) -> bytes:
    text = (scalar(value) or "").strip(_SPACE).lower()
    if text in _TRUE:
        return b"\1"
    if text in _FALSE:
        return b"\0"
    _wrong(value, "of type boolean")


def _uuid(value: JsonValue) -> bytes:
    text = scalar(value) or ""
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    if not _UUID.fullmatch(bare):
        _wrong(value, "of type uuid")
    return bytes.fromhex(bare.replace("-", ""))


def _bytea(value: JsonValue) -> bytes:
    text = scalar(value) or ""
    if text.startswith("\\x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            _wrong(value, "of type bytea: \\x, then pairs of hexadecimal digits")
    if "\\" in text:
        raise OnlyPostgresKnows
    return _text(text)


def _json(value: JsonValue) -> bytes:
    if isinstance(value, str):
        try:
            json.loads(value, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            _wrong(value, "JSON text; a JSON string needs quotes of its own")
    return _text(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _jsonb(value: JsonValue) -> bytes:
    return b"\1" + _json(value)


def _date(value: JsonValue) -> bytes:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise OnlyPostgresKnows
    try:
        day = date.fromisoformat(value)
    except ValueError:
        _wrong(value, "a day of the calendar")
    return _INT.pack((day - _EPOCH.date()).days)


def _moment(value: JsonValue, *, has_zone: bool) -> bytes:
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None or (found[1] and not has_zone):
        raise OnlyPostgresKnows
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        _wrong(value, "a moment of the calendar")
    since = (at if found[1] else at.replace(tzinfo=UTC)) - _EPOCH
    return _BIGINT.pack((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _array(value: JsonValue, oid: int, encode: Encode) -> bytes:
    if not isinstance(value, list):
        raise OnlyPostgresKnows
    sizes, items = _flat(value, is_json=oid in JSON_OIDS)
    cells = b"".join(_cell(None if item is None else encode(item)) for item in items)
    head = struct.pack(">iiI", len(sizes), int(any(item is None for item in items)), oid)
    return head + b"".join(struct.pack(">ii", size, 1) for size in sizes) + cells


def _flat(value: list[JsonValue], *, is_json: bool) -> tuple[list[int], list[JsonValue]]:
    """The sizes of the dimensions, and the elements in order. Only arrays whose rows are of one length."""
    if not value:
        return [], []
    sizes, items = [len(value)], value
    while not is_json and any(isinstance(item, list) for item in items):
        rows = [item for item in items if isinstance(item, list)]
        if not any(rows):
            raise OnlyPostgresKnows
        if len(rows) < len(items) or any(len(row) != len(rows[0]) for row in rows):
            raise ValueError("its inner arrays are not all of one length")
        sizes.append(len(rows[0]))
        items = [item for row in rows for item in row]
    return sizes, items


def _cell(data: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if data is None else _INT.pack(len(data)) + data


_ENCODERS: Final[dict[int, Encode]] = {
    16: _boolean,
    17: _bytea,
    20: _integer(64, "bigint"),
    21: _integer(16, "smallint"),
    23: _integer(32, "integer"),
    **dict.fromkeys((25, 1042, 1043), _text),
    114: _json,
    701: _double,
    1082: _date,
    1114: partial(_moment, has_zone=False),
    1184: partial(_moment, has_zone=True),
    1700: _numeric,
    2950: _uuid,
    3802: _jsonb,
}
"""By object id (pgtypes.py). Not `real`: Python reads it as a double first, which rounds twice."""


def row_of(cells: list[bytes | None]) -> bytes:
    """A row of a binary COPY (manual, "COPY", "Binary Format")."""
    return struct.pack(">h", len(cells)) + b"".join(map(_cell, cells))


HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL: Final = b"\xff\xff"
