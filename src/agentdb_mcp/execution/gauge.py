"""Counts what a server sends, cuts rows too large to be held while they come in, and hangs up on a flood.

The driver takes in whole messages: without this, one cell of a gigabyte is a gigabyte of ours.
"""

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Final

from agentdb_mcp.execution.sieving import Sieve
from agentdb_mcp.execution.slimming import Slimmer

_HEAD: Final = 5
"""Bytes that begin a message: its kind, and its length without the kind (manual, "Message Flow")."""

_length: Final = Struct(">i").unpack_from
_ROW: Final = ord("D")

LARGE: Final = 1024 * 1024
"""Bytes of a row that the driver may hold as it is."""

LARGEST: Final = 32 * 1024 * 1024
"""Bytes that a row may still have when its cells are cut."""


class Gauge(asyncio.Protocol):
    """Stands between the transport and the driver's protocol, from a moment when nothing is under way."""

    def __init__(self, driver: asyncio.Protocol, hang_up: Callable[[], None], allowance: int) -> None:
        self._driver = driver
        self._hang_up = hang_up
        self.left = allowance
        """Bytes the server may still send."""
        self.longest: int | None = None
        """Characters at which cells are going to be cut; None when they are not."""
        self._rest = 0
        """Bytes of the message under way that are still to come."""
        self._head = b""
        """The beginning of a message that is too short to tell its length."""
        self.sieve: Sieve | None = None
        """Swallows rows of the answer to come that nobody wants, which then count for nothing."""
        self._slimmer: Slimmer | None = None
        """Has the message under way, which is a large row."""

    @property
    def overrun(self) -> bool:
        """Whether it sent more."""
        return self.left < 0

    def data_received(self, data: bytes) -> None:
        """Passes it on, or hangs up."""
        if self.sieve is not None:
            data = self._sifted(self.sieve, data)
        self.left -= len(data)
        if self._slimmer is not None and self.left >= 0:
            data = self._slim(self._slimmer, data)
        if self.left < 0:
            self._hang_up()
        elif data:
            self._pass_on(self._head + data if self._head else data)

    def _sifted(self, sieve: Sieve, data: bytes) -> bytes:
        passed = sieve.sift(data)
        if sieve.is_done:
            self.sieve = None
        return passed

    def _pass_on(self, data: bytes) -> None:
        """Follows the messages' lengths, which costs 0.1 microseconds each, and looks for a large row."""
        start, at, size = self._rest, self._rest, len(data)
        last = size - _HEAD
        while at <= last:
            start = at
            at += 1 + _length(data, at + 1)[0]
        end = min(at, size)
        self._head = data[end:]
        self._rest = at - end
        if at - start > LARGE and self._rest and self.longest is not None and data[start] == _ROW:
            self._slimmer = Slimmer(self.longest)
            self._slimmer.take(data[start + _HEAD :])
            end = start
        if end:
            self._driver.data_received(data if end == size else data[:end])

    def _slim(self, slimmer: Slimmer, data: bytes) -> bytes:
        """What comes after the row under way, if anything; once whole, the row goes on in its small form."""
        piece = data[: self._rest]
        slimmer.take(piece)
        self._rest -= len(piece)
        if slimmer.size > LARGEST:
            self.left = -1
        elif not self._rest:
            self._slimmer = None
            self._driver.data_received(slimmer.message())
        return data[len(piece) :]

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
