"""What stands at an endpoint's port: it asks for TLS, reads who wants in, wakes the compute or refuses, and
from then on only carries bytes. (PostgreSQL's documentation, "Message Flow" and "Message Formats".)
"""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104
CANCEL_REQUEST: Final = 80877102
LONGEST_START: Final = 10_000

Words = dict[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ErrorResponse. Neon's proxy sends XX000 for nearly everything (its source, March 2026)."""

    message: str
    sqlstate: str = "XX000"

    def packet(self) -> bytes:
        """As it goes over the wire."""
        fields = {"S": "FATAL", "V": "FATAL", "C": self.sqlstate, "M": self.message}
        body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
        return b"E" + struct.pack("!I", len(body) + 4) + body


class Front:
    """One endpoint's port."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        backend: tuple[str, int],
        admit: Callable[[Words], Words | Refusal],
        count: Callable[[int], None],
        carries: Callable[[], bool],
    ) -> None:
        self._tls = tls
        self._backend = backend
        self._admit = admit
        """From the start-up words of a client to those for the server behind, or a refusal."""
        self._count = count
        """Told +1 and -1 as connections come and go."""
        self._carries = carries
        """Asked for each message of a client's; False: the session breaks."""
        self._server: asyncio.Server | None = None
        self.backend_ports: set[int] = set()

    async def open(self) -> int:
        """Listen on a free port of 127.0.0.1, and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Take no further connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ssl.SSLError, struct.error):
            packet = await self._secured(reader, writer)
            if packet is not None:
                await self._carry(packet, reader, writer)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    async def _secured(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """The packet to send to the server behind, or None when the client was refused."""
        encrypted = False
        while True:
            code, body = await _start_packet(reader)
            if code == SSL_REQUEST and not encrypted:
                writer.write(b"S")
                await writer.start_tls(self._tls)
                encrypted = True
            elif code in {SSL_REQUEST, GSS_REQUEST}:
                writer.write(b"N")
            elif code == CANCEL_REQUEST:
                return struct.pack("!II", len(body) + 8, code) + body
            else:
                return await self._admitted(code, _words(body), writer, encrypted=encrypted)

    async def _admitted(
        self, code: int, words: Words, writer: asyncio.StreamWriter, *, encrypted: bool
    ) -> bytes | None:
        answer = (
            self._admit(words)
            if encrypted
            else Refusal("connection is insecure (try using `sslmode=require`)")
        )
        if isinstance(answer, Refusal):
            writer.write(answer.packet())
            await writer.drain()
            return None
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in answer.items()) + b"\0"
        return struct.pack("!II", len(body) + 8, code) + body

    async def _carry(self, packet: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(*self._backend)
        port = behind_writer.get_extra_info("sockname")[1]
        self.backend_ports.add(port)
        self._count(+1)
        try:
            behind_writer.write(packet)
            ways = [
                asyncio.ensure_future(_pump(reader, behind_writer, self._carries)),
                asyncio.ensure_future(_pump(behind_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._count(-1)
            self.backend_ports.discard(port)
            behind_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carries: Callable[[], bool] = lambda: True
) -> None:
    while (data := await reader.read(65_536)) and carries():
        writer.write(data)
        await writer.drain()


async def _start_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    length, code = struct.unpack("!II", await reader.readexactly(8))
    if not 8 <= length <= LONGEST_START:
        raise EOFError
    return code, await reader.readexactly(length - 8)


def _words(body: bytes) -> Words:
    parts = body.rstrip(b"\0").decode().split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))
