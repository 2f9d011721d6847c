"""The process's stdin and stdout as lines of bytes on the event loop, without threads.

Knows nothing of JSON or MCP. The SDK's own stdio transport hands each line through a worker thread, both
ways, which was a third of the time of a short call.
"""

import asyncio
import fcntl
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes of one message. Large data goes through bind values, and those through several calls."""

_CHUNK: Final = 256 * 1024
_KEPT: Final = 512
"""Bytes kept of each end of a line that is too long, enough to find the request's id."""

_FIRST_FREE: Final = 3
"""The lowest descriptor that is none of the standard three."""

_LAST_WORDS: Final = 1.0
"""Seconds a leaving server gives its client to take what is left."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The two ends of the wire, out of reach of stray prints."""

    reading: int
    writing: int


@contextmanager
def claimed_stdio() -> Generator[Descriptors]:
    """Takes fd 0 and 1 for the protocol; meanwhile stdin is empty and what is printed goes to stderr.

    To be entered before anything else runs, so that child processes and imports find the diverted ones too.
    """
    wire = Descriptors(*(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for fd in (0, 1)))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    try:
        yield wire
    finally:
        sys.stdout.flush()
        os.dup2(wire.reading, 0)
        os.dup2(wire.writing, 1)
        os.close(wire.reading)
        os.close(wire.writing)


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was thrown away as it came in: its two ends and its length in bytes."""

    head: bytes
    tail: bytes
    length: int


class Wire:
    """Reads lines and writes frames. One reader; any number of writers, whose frames never mix."""

    def __init__(self, descriptors: Descriptors, *, longest: int = LONGEST_LINE) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading = descriptors.reading
        self._writing = descriptors.writing
        self._longest = longest
        self._received = bytearray()
        self._searched = 0
        self._ended = False
        self._ready = self._loop.create_future()
        self._backlog = bytearray()
        self._drained = asyncio.Event()
        self._drained.set()
        self._broken = False
        self._patience: asyncio.TimerHandle | None = None
        # A writable descriptor may still lack room for a whole frame, and the loop must never wait for a slow
        # client. Reading needs no such care: a readable descriptor gives what it has.
        self._was_blocking = os.get_blocking(self._writing)
        os.set_blocking(self._writing, False)

    def stop(self) -> None:
        """Makes the reader see the end of the stream now; a client that takes no more is soon given up."""
        self._ended = True
        self._wake()
        if self._patience is None:
            self._patience = self._loop.call_later(_LAST_WORDS, self._give_up)

    async def aclose(self) -> None:
        """Sends what is left within a second, then leaves the descriptors as they were found."""
        self.stop()
        await self._drained.wait()
        if self._patience is not None:
            self._patience.cancel()
        os.set_blocking(self._writing, self._was_blocking)

    async def read_line(self) -> bytes | TooLong | None:
        """The next line without its end, or None at the end of the stream.

        Waits while the client does not take its answers: who does not listen is not listened to.
        """
        await self._drained.wait()
        while not self._ended:
            end = self._received.find(b"\n", self._searched)
            if (end if end >= 0 else len(self._received)) > self._longest:
                return await self._skip_line()
            if end >= 0:
                return self._take(end)
            self._searched = len(self._received)
            self._received += await self._read()
        return None

    async def _skip_line(self) -> TooLong | None:
        head, tail, length = b"", b"", 0
        while not self._ended:
            end = self._received.find(b"\n")
            piece = self._take(end if end >= 0 else len(self._received))
            head, tail = (head + piece[:_KEPT])[:_KEPT], (tail + piece[-_KEPT:])[-_KEPT:]
            length += len(piece)
            if end >= 0:
                return TooLong(head, tail, length)
            self._received += await self._read()
        return None

    def _take(self, end: int) -> bytes:
        """What was received before `end`, which is the place of a line's end or the end of it all."""
        piece = bytes(self._received[:end])
        del self._received[: end + 1]
        self._searched = 0
        return piece

    async def _read(self) -> bytes:
        """Whatever is there, at least a byte; nothing at the end of the stream."""
        await self._readable()
        try:
            chunk = b"" if self._ended else os.read(self._reading, _CHUNK)
        except OSError:  # a connection reset, a terminal hung up
            chunk = b""
        self._ended = not chunk
        return chunk

    async def _readable(self) -> None:
        self._ready = self._loop.create_future()
        try:
            self._loop.add_reader(self._reading, self._wake)
        except PermissionError:  # a regular file or /dev/null: always ready, and epoll will not have it
            return
        try:
            await self._ready
        finally:
            self._loop.remove_reader(self._reading)

    def _wake(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    async def write(self, frame: bytes) -> None:
        """Sends a frame, whole also when its task is cancelled meanwhile; waits while the client is slow.

        Raises BrokenPipeError when the client has closed its end, or was given up.
        """
        if not self._broken:
            self._backlog += frame
            if self._drained.is_set():
                self._flush()
            await self._drained.wait()
        if self._broken:
            raise BrokenPipeError

    def _flush(self) -> None:
        try:
            sent = os.write(self._writing, self._backlog)
        except BlockingIOError:
            sent = 0
        except OSError:  # the client closed its end
            self._give_up()
            self.stop()
            return
        del self._backlog[:sent]
        if self._backlog:
            self._drained.clear()
            self._loop.add_writer(self._writing, self._flush)
        else:
            self._release()

    def _give_up(self) -> None:
        self._broken = True
        self._backlog.clear()
        self._release()

    def _release(self) -> None:
        if not self._drained.is_set():
            self._loop.remove_writer(self._writing)
            self._drained.set()
