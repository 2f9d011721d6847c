"""How many bytes of requests are kept in memory: a caller may have many open, and send each slowly."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from agentdb_mcp.core.errors import Denied

FREE: Final = 64 * 1024
"""The first bytes of each request, which are not counted: small calls find room when large ones do not."""

MOST_OF_ONE: Final = 64 * 1024 * 1024
"""Bytes of one caller's requests, from their arrival until they are answered."""

MOST_OF_ALL: Final = 512 * 1024 * 1024
"""The same of all callers together."""

Keep = Callable[[int], None]


class Room:
    """Counts what is kept, and refuses what finds no room before it is read on."""

    def __init__(self, of_one: int = MOST_OF_ONE, of_all: int = MOST_OF_ALL) -> None:
        self._of_one = of_one
        self._of_all = of_all
        self._kept: Counter[object] = Counter()
        self._in_all = 0

    @contextmanager
    def place(self, owner: object) -> Generator[Keep]:
        """For one request. What it gives is told the request's size as it grows.

        Raises Denied("rate_limited"), and then keeps nothing more.
        """
        mine = 0

        def keep(size: int) -> None:
            nonlocal mine
            more = max(size - FREE, 0) - mine
            self._take(owner, more)
            mine += more

        try:
            yield keep
        finally:
            self._take(owner, -mine)

    def _take(self, owner: object, more: int) -> None:
        if more > 0:
            if self._kept[owner] + more > self._of_one:
                raise _full(f"The open requests of one caller may hold {self._of_one >> 20} MiB together")
            if self._in_all + more > self._of_all:
                raise _full("This server holds as much of open requests as it can")
        self._in_all += more
        self._kept[owner] += more
        if not self._kept[owner]:
            del self._kept[owner]


def _full(why: str) -> Denied:
    return Denied(
        "rate_limited",
        f"{why}; this one did nothing.",
        "Wait for those to be answered, then send it again; or send less at once.",
    )
