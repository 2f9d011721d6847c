"""A TCP proxy in front of PostgreSQL that counts what the client asks, and can cut the line."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agentdb_mcp import dsn
from agentdb_mcp.core.secrets import ConnectionUri

ASKS_FOR_AN_ANSWER = frozenset({"S", "H", "Q"})
"""Sync, Flush, Query: after each of them the client waits (PostgreSQL manual, "Message Formats")."""

_UNTYPED_CODES = {80877103: "SSLRequest", 80877102: "CancelRequest"}


@dataclass
class Line:
    """What passed, client to server: message type -> how many."""

    sent: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    cut_at: str = ""
    """Message type at which the connection is reset instead of passing it on."""
    cuts: int = 1
    """How often."""
    spared: int = 0
    """How many messages of that type pass before that."""
    deaf_after: str = ""
    """A query after which the connection is reset once the server has answered it, unheard."""
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """SQLSTATE and message for the next connections, one each: they are not let in."""
    hold: bool = False
    """Whether to keep back what the client sends, until `release`."""
    _deaf: bool = False
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def round_trips(self) -> int:
        return sum(count for kind, count in self.sent.items() if kind in ASKS_FOR_AN_ANSWER)

    def clear(self) -> None:
        self.sent.clear()

    def release(self) -> None:
        self.hold = False
        self._released.set()

    def reset_all(self) -> None:
        """As a router that forgot its connections does: the next packet is answered by a reset."""
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    async def forward(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        typed = False
        while True:
            head = await reader.readexactly(5 if typed else 4)
            length = int.from_bytes(head[-4:])
            body = await reader.readexactly(length - 4)
            kind = head[:1].decode() if typed else _UNTYPED_CODES.get(int.from_bytes(body[:4]), "Startup")
            if kind == self.cut_at and self.cuts and not self._spares():
                self.cuts -= 1
                self.reset_all()
                return
            if self.hold:
                await self._released.wait()
            self.sent[kind] += 1
            typed = typed or kind == "Startup"
            server.write(head + body)
            await server.drain()
            if self.deaf_after and body == self.deaf_after.encode() + b"\0":
                self.deaf_after, self._deaf = "", True

    def _spares(self) -> bool:
        self.spared -= 1
        return self.spared >= 0

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the server says."""
        while data := await reader.read(65536):
            if self._deaf:
                self._deaf = False
                self.reset_all()
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def watched(uri: ConnectionUri) -> AsyncIterator[tuple[Line, int]]:
    """The line in front of a server, and the local port it listens on."""
    to = dsn.arguments(uri.reveal())
    line = Line()
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())  # pyright: ignore[reportArgumentType]
        line.connections += 1
        if line.refusals:
            await _refuse(reader, writer, *line.refusals.pop(0))
            return
        back, server = await asyncio.open_connection(to["host"], to["port"])
        line._writers.append(writer)
        both = [
            asyncio.create_task(line.forward(reader, server)),
            asyncio.create_task(line.back(back, writer)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        server.close()
        writer.close()
        await asyncio.gather(server.wait_closed(), writer.wait_closed(), return_exceptions=True)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield line, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        line.release()
        line.reset_all()
        if served:
            await asyncio.wait(served, timeout=10)


def through(uri: ConnectionUri, port: int) -> ConnectionUri:
    """The same credentials by way of a local port."""
    to = dsn.arguments(uri.reveal())
    return ConnectionUri(
        f"postgresql://{to['user']}:{to['password']}@127.0.0.1:{port}/{to['database']}?sslmode=disable"
    )


async def _refuse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: str, message: str
) -> None:
    await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
    fields = b"".join(
        kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", state), (b"M", message))
    )
    writer.write(b"E" + (len(fields) + 5).to_bytes(4) + fields + b"\0")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: reset at once
    writer.transport.abort()
