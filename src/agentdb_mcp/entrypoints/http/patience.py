"""Connections whose request never comes: uvicorn waits for the rest of a head for ever.

And requests whose sender nobody knows yet: uvicorn reads on before anybody asked for the body.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

_AT_WORK: Final = object()
"""In place of the last request while it is being answered."""


class Patient(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, but a head has to arrive in time: half of one needs no token.

    Looks now and then, not at each byte: a connection that stands as it stood one look before is closed.
    """

    seconds: ClassVar[float] = 30.0
    """Between two looks; a head has up to twice that."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to look."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to look at."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """As uvicorn does, but nothing is read after a request's head until its body is asked for."""
        before: Any = self.cycle
        super().handle_events()
        if self.cycle is not before and self.cycle.more_body:
            self.flow.pause_reading()  # cycle.receive() resumes it, and so does the end of the answer

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._look, self._last())

    def _look(self, before: Any) -> None:
        if before is not _AT_WORK and self._last() is before:
            self.transport.close()
        else:
            self._look_later()

    def _last(self) -> Any:
        """The request that was answered last, None before the first."""
        cycle: Any = self.cycle  # None at first, whatever uvicorn's annotation says
        return cycle if cycle is None or cycle.response_complete else _AT_WORK
