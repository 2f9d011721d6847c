"""Counts what a server sends, and hangs up on a flood.

The driver takes in whole messages, and the rows that a byte cap drops still cross the wire: without a bound,
one cell of a gigabyte is a gigabyte of ours.
"""

import asyncio
from collections.abc import Callable


class Gauge(asyncio.Protocol):
    """Stands between the transport and the driver's protocol."""

    def __init__(self, driver: asyncio.Protocol, hang_up: Callable[[], None], allowance: int) -> None:
        self._driver = driver
        self._hang_up = hang_up
        self.left = allowance
        """Bytes the server may still send."""

    @property
    def overrun(self) -> bool:
        """Whether it sent more."""
        return self.left < 0

    def data_received(self, data: bytes) -> None:
        """Passes it on, or hangs up."""
        self.left -= len(data)
        if self.left < 0:
            self._hang_up()
        else:
            self._driver.data_received(data)

    def eof_received(self) -> bool | None:
        """The server is done."""
        return self._driver.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """The server reads slowly."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._driver.resume_writing()
