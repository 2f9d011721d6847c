"""What the HTTP front knows of a request: who sent it, what they sent, and whether they are still there.

It travels in the ASGI scope, under these names and no others.
"""

from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, cast

import anyio

from agentdb_mcp.core.access import Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CALLER: Final = "agentdb.caller"
_DEPARTURE: Final = "agentdb.departure"
_BODY: Final = "agentdb.body"


class Departure:
    """A client that may leave before it has its answer, and the work that is then for nobody."""

    def __init__(self) -> None:
        self._work: set[anyio.CancelScope] = set()
        self._answered = False
        self.has_happened = anyio.Event()

    @contextmanager
    def stops(self) -> Generator[anyio.CancelScope]:
        """Work that is cancelled when the client leaves, whichever task does it."""
        with anyio.CancelScope() as scope:
            if self.has_happened.is_set() and not self._answered:
                scope.cancel()
            self._work.add(scope)
            try:
                yield scope
            finally:
                self._work.discard(scope)

    def answered(self) -> None:
        """The whole answer was sent: what still goes on has nothing to do with this client's patience."""
        self._answered = True

    def happen(self) -> None:
        """The client left. Nothing, when it had its answer."""
        self.has_happened.set()
        if not self._answered:
            for scope in self._work:
                scope.cancel()


def set_caller(scope: Scope, caller: Caller) -> None:
    """For entrypoints/http/bearer.py, which has authenticated it."""
    scope[_CALLER] = caller


def caller_of(scope: Scope) -> Caller:
    """Who sent this request. A request that nobody authenticated has none: KeyError, a fault of ours."""
    return cast("Caller", scope[_CALLER])


def set_departure(scope: Scope, departure: Departure) -> None:
    """For entrypoints/http/exchange.py, which watches the connection."""
    scope[_DEPARTURE] = departure


def departure_of(scope: Scope) -> Departure:
    """Of the client of this request."""
    return cast("Departure", scope[_DEPARTURE])


def set_body(scope: Scope, body: bytes) -> None:
    """For entrypoints/http/exchange.py, which has read it."""
    scope[_BODY] = body


def body_of(scope: Scope) -> bytes:
    """What was sent, as far as anybody waited for it."""
    return cast("bytes", scope.get(_BODY, b""))
