"""HTTP/1.1 on a socket, so that an answer can be dropped, cut or kept waiting as a bad network does it."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import h11

_log = logging.getLogger(__name__)

LONGEST_BODY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    """Drop the connection in the middle of the body."""

    @classmethod
    def json(cls, status: int, value: object, headers: dict[str, str] | None = None) -> "Reply":
        return cls(status, json.dumps(value).encode(), headers=headers or {})


Answer = Callable[[Request], Awaitable[Reply | None]]
"""None: drop the connection without a word."""


class HttpServer:
    """Serves `answer` on 127.0.0.1."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.closing = asyncio.Event()

    async def open(self, port: int = 0) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", port)
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop, whoever is connected."""
        self.closing.set()
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65_536)
        try:
            with contextlib.suppress(OSError):
                while await self._cycle(connection, reader, writer):
                    connection.start_next_cycle()
        finally:
            writer.transport.abort()

    async def _cycle(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            request = await _read(connection, reader)
            reply = await self._answer(request) if request else None
        except h11.RemoteProtocolError as error:
            reply = Reply(error.error_status_hint or 400)
        except Exception:  # noqa: BLE001 - as any server does
            _log.exception("a fault of the stand-in's own")
            reply = Reply(500)
        if reply is None:
            return False
        headers = [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]
        head = h11.Response(status_code=reply.status, headers=[*headers, *reply.headers.items()])
        writer.write(connection.send(head) or b"")
        if reply.cut:
            writer.write(reply.body[: len(reply.body) // 2])
            await writer.drain()
            return False
        writer.write(
            (connection.send(h11.Data(data=reply.body)) or b"") + (connection.send(h11.EndOfMessage()) or b"")
        )
        await writer.drain()
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LONGEST_BODY:
                raise h11.RemoteProtocolError("too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _request(head, body)
        else:
            return None


def _request(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("latin-1"))
    return Request(
        method=head.method.decode("ascii"),
        path=unquote(target.path),
        query=parse_qs(target.query, keep_blank_values=True),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
        body=body,
    )
