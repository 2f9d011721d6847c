"""From PostgreSQL's text to a Cell: chosen once per type and connection, called by the driver for each value.

The rule is in core/results.py. The converters of texts of any length share a meter, which lets go of what
lies past a statement's byte cap while it comes in: in memory a result is never more than its cap and a value.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

from agentdb_mcp.core.results import Cell, CutText
from agentdb_mcp.execution.arrays import parse_array
from agentdb_mcp.execution.pgtypes import PgType
from agentdb_mcp.execution.slimming import SLIMMED

Converter = Callable[[str], Cell]

EXACT_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps (RFC 8259, section 6)."""


boolean: Final = {"t": True, "f": False}.__getitem__
"""PostgreSQL says `t` and `f`."""


def bigint(text: str) -> Cell:
    """A number where JSON keeps it, its digits elsewhere."""
    number = int(text)
    return number if -EXACT_INTEGER <= number <= EXACT_INTEGER else text


def floating(text: str) -> Cell:
    """PostgreSQL writes the shortest digits that read back the same, and so does Python; NaN stays text."""
    number = float(text)
    return number if isfinite(number) else text


_NARROW: Final[dict[int, Converter]] = {
    16: boolean,
    20: bigint,
    21: int,
    23: int,
    700: floating,
    701: floating,
    # date, time, timestamp, timestamptz, timetz, uuid, oid: text as it is
    **dict.fromkeys((1082, 1083, 1114, 1184, 1266, 2950, 26), str),
}
"""Types whose text has a small bound: not worth metering."""

NARROW_WIDTH: Final = 40
"""Characters that bound the text of any of them."""


def is_narrow(oid: int) -> bool:
    """Whether the texts of this type have a small bound."""
    return oid in _NARROW


UNCUT: Final = 2**31
"""More characters than any value has."""


class Meter:
    """Cuts one statement's long texts, counts their characters and drops those past the allowance."""

    __slots__ = ("cuts", "left", "longest")

    def __init__(self) -> None:
        self.left = 0
        self.longest = UNCUT
        """Characters at which a value is cut."""
        self.cuts = 0
        """Values that were."""

    def text(self, value: str) -> Cell:
        """The value, or how it begins; None once the allowance is used up (such rows are cut off afterwards).

        The value that crosses the line is kept, so that the row it stands in is seen to be too much.
        """
        if self.left < 0:
            return None
        if len(value) > self.longest:
            value = self._beginning(value)
        self.left -= len(value)
        return value

    def _beginning(self, value: str) -> CutText:
        """What is too long for a cell, cut; some was cut as it came in, and says its true length."""
        self.cuts += 1
        text, slimmed, length = value.rpartition(SLIMMED)
        return CutText((text or value)[: self.longest], int(length) if slimmed else len(value))

    def array(self, element: Converter, delimiter: str) -> Converter:
        """A converter of array literals under the same allowance; one that is cut is a text."""

        def convert(literal: str) -> Cell:
            if self.left < 0:
                return None
            if len(literal) > self.longest:
                return self.text(literal)
            self.left -= len(literal)
            return parse_array(literal, element, delimiter)

        return convert

    def converter(self, oid: int, types: Mapping[int, PgType]) -> Converter:
        """The converter of the type with this object id."""
        kind = types[oid]
        if kind.element:
            return self.array(_NARROW.get(kind.element, str), kind.delimiter)
        return _NARROW.get(oid, self.text)
