"""The store's SQL, by name, from queries.sql beside this file."""

import re
from functools import cache
from pathlib import Path
from typing import Final, LiteralString, cast

_HEADER: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def query(name: str) -> LiteralString:
    """The statement of that name: a reviewed text of ours, as good as a literal."""
    return _queries()[name]


@cache
def _queries() -> dict[str, LiteralString]:
    _, *parts = _HEADER.split(Path(__file__).with_name("queries.sql").read_text(encoding="utf-8"))
    return {
        name: cast("LiteralString", text.strip()) for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
