"""How much there may be in a request. What is small to send can be large to read: two bytes of JSON become a
list, and a body of nothing else keeps everybody waiting for seconds while it is read.
"""

import re
from typing import Final

from agentdb_mcp.core.errors import Invalid

MOST_VALUES: Final = 1_000_000
"""Lists, objects and commas outside texts: 100,000 rows of eight short columns hold fewer."""

_TEXT: Final = re.compile(rb'"[^"]*"?')


def check_structure(body: bytes) -> None:
    """Raises Invalid for a body that holds more than MOST_VALUES, whatever it is a body of."""
    if _marks(body) > MOST_VALUES and _marks(_without_texts(body)) > MOST_VALUES:
        raise Invalid(
            "bad_argument",
            f"A request holds at most {MOST_VALUES:,} values.",
            "Send the data in several calls.",
        )


def _without_texts(body: bytes) -> bytes:
    """Without escapes a text ends at the next quote. No pattern here can go back over what it has read."""
    return _TEXT.sub(b"", body.replace(rb"\\", b"").replace(rb"\"", b""))


def _marks(body: bytes) -> int:
    return sum(body.count(mark) for mark in b"[{,")
