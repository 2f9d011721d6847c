"""Characters that a reader does not see: what moves or hides others, ends lines, or speaks to programs only.

A model reads what a person would not notice, so a text for it writes them out, as JSON writes characters.
"""

import re
from typing import Final

_INVISIBLE: Final = re.compile(
    "[\x7f-\x9f"  # DEL and C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f"  # marks of direction, ends of lines, invisible operators
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"  # the last: tags, more selectors
)
"""Unicode's Default_Ignorable_Code_Point, with C1, the separators of lines, and noncharacters.

Left out are the two joiners (U+200C, U+200D) and the selectors of text or emoji form (U+FE0E, U+FE0F): emoji,
Persian and the scripts of India are written with them. The replacement character (U+FFFD) is seen.
"""

WIDEST: Final = 12
"""Characters that one is written in at most: as two halves, each `\\ud83d`."""


def written(text: str) -> str:
    """The text, with each of them as JSON would escape it."""
    return text if _is_plain(text) else _INVISIBLE.sub(_escape, text)


def written_length(text: str) -> int:
    """Characters of that."""
    if _is_plain(text):
        return len(text)
    return len(text) + sum(len(_escape(found)) - 1 for found in _INVISIBLE.finditer(text))


def _is_plain(text: str) -> bool:
    return text.isascii() and "\x7f" not in text


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
