"""Handles for reads that were cut, which mean something to their owner alone, and for a while.

In memory of this process, and small: no rows, no connection, no transaction (docs/adr/0011-cursors.md).
"""

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.results import Asked, JsonValue, ResultSet

LIFETIME: Final = timedelta(minutes=15)

MOST_CURSORS: Final = 32
"""Of one principal: a new one takes the place of its oldest."""

MOST_PRINCIPALS: Final = 1_000
"""With cursors, in one process: of more, those that read longest ago lose theirs."""

MOST_PAGES: Final = 100
"""Of one reading that has no key to go on by: each page reads all those before it again."""

LONGEST_STATEMENT: Final = 100_000
"""Characters, parameters included, up to which a reading is remembered."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A read that was cut: what to run again, and what it gave so far."""

    database_id: DatabaseId
    kind: Kind
    sql: str
    params: Sequence[JsonValue]
    asked: Asked
    """How much the caller wanted, which holds for the pages to come as well."""
    pages: tuple[Page, ...] = ()
    """What it gave so far; nothing when that is too much to be given again."""
    given: int = 0
    """Rows that it gave so far."""
    estimate: int | None = None
    """About how many rows it has in all."""
    place: Place | None = None
    """Where it goes on without giving all of this again."""

    def after(self, found: ResultSet, place: Place | None) -> "Reading":
        """The same reading, one page later."""
        is_remembered = bool(self.pages) or not self.given
        pages = (*self.pages, Page.of(found.columns, found.rows, found.longest)) if is_remembered else ()
        if len(pages) > MOST_PAGES and place is not None:
            pages = ()
        return replace(self, pages=pages, given=self.given + len(found.rows), place=place)

    def can_be_kept(self) -> bool:
        """Whether going on with it is worth its place in memory."""
        size = len(self.sql) + len(json.dumps(self.params))
        can_go_on = self.place is not None or 0 < len(self.pages) <= MOST_PAGES
        return can_go_on and size <= LONGEST_STATEMENT


@dataclass(frozen=True, slots=True)
class _Kept:
    reading: Reading
    until: datetime


class Cursors:
    """Handles by principal. A handle is never changed: asked for twice, it gives the same page twice."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        # Both from the longest unused to the latest: what has expired stands in front.
        self._principals: OrderedDict[Principal, OrderedDict[str, _Kept]] = OrderedDict()

    def keep(self, principal: Principal, reading: Reading) -> str | None:
        """A handle for what follows; None for a reading that is too long to be remembered."""
        now = self._clock()
        self._forget_expired(now)
        if not reading.can_be_kept():
            return None
        mine = self._principals.setdefault(principal, OrderedDict())
        self._principals.move_to_end(principal)
        handle = secrets.token_urlsafe(12)
        mine[handle] = _Kept(reading, now + LIFETIME)
        if len(mine) > MOST_CURSORS:
            mine.popitem(last=False)
        if len(self._principals) > MOST_PRINCIPALS:
            self._principals.popitem(last=False)
        return handle

    def find(self, principal: Principal, handle: str) -> Reading:
        """The reading behind a handle. Raises Missing("cursor_expired") also when it never was."""
        kept = self._principals.get(principal, {}).get(handle)
        if kept is None or kept.until <= self._clock():
            raise expired()
        return kept.reading

    def _forget_expired(self, now: datetime) -> None:
        while self._principals:
            mine = next(iter(self._principals.values()))
            if next(reversed(mine.values())).until > now:
                return
            self._principals.popitem(last=False)


def expired() -> Missing:
    """What is said of every handle that leads nowhere."""
    return Missing(
        "cursor_expired",
        f"There is no such cursor here; they are kept for {LIFETIME // timedelta(minutes=1)} minutes.",
        "Run the statement again. ORDER BY a unique key and WHERE key > the last one goes on from any place.",
    )
