"""LEGACY: the HTTP+SSE transport of protocol version 2024-11-05, for hosts that know no other.

A stream that the client reads, and a second path that it posts its messages to. Our own on the SDK's server:
the SDK's transport takes messages without end for a client that reads no answers, and logs their text.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp.types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from agentdb_mcp.core.access import Principal
from agentdb_mcp.entrypoints.asgi import Receive, Scope, Send
from agentdb_mcp.entrypoints.mcp.streamable import principal_of
from agentdb_mcp.entrypoints.mcp.streams import Stream

STREAM_PATH: Final = "/sse"
MESSAGE_PATH: Final = "/messages"

MOST_UNANSWERED: Final = 128
"""Calls of one agent that wait for an answer, or whose answers it does not take."""

WEIGHT: Final = 512 * 1024
"""Bytes of a call for which it counts once more: it stays in memory, and its POST is long over."""

PING_SECONDS: Final = 15.0
"""Keeps proxies from closing a stream that is silent."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class LegacySse:
    """Sessions, each bound to the agent that opened it."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._sessions: dict[str, _Session] = {}
        self._unanswered: Counter[Principal] = Counter()

    async def stream(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answers until it is cancelled, because the client left or does not read; and with it, what runs."""
        principal, name = principal_of(scope), secrets.token_urlsafe(24)
        requests, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
        session = _Session(principal, requests, send, partial(self._settled, principal))
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await session.event("endpoint", f"{scope.get('root_path', '')}{MESSAGE_PATH}?session_id={name}")
        self._sessions[name] = session
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.ping)
                options = self._server.create_initialization_options()
                await self._server.run(incoming, session, options)
                tasks.cancel_scope.cancel()
        finally:
            del self._sessions[name]
            session.close()

    async def message(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes one message; its answer comes by the stream."""
        status = await self._taken(Request(scope, receive), principal_of(scope))
        await PlainTextResponse(_WORDS[status], status)(scope, receive, send)

    async def _taken(self, request: Request, principal: Principal) -> int:
        name = parse_qs(request.url.query).get("session_id", [""])[0]
        session = self._sessions.get(name)
        if session is None or session.principal != principal:
            return 404
        body = await request.body()
        try:
            message = jsonrpc_message_adapter.validate_json(body, by_name=False)
        except ValidationError:
            return 400
        if isinstance(message, JSONRPCRequest):
            weight = 1 + len(body) // WEIGHT
            if self._unanswered[principal] + weight > MOST_UNANSWERED:
                return 429
            if not session.expects(message.id, weight):
                return 400
            self._unanswered[principal] += weight
        try:
            await session.take(message, request)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            session.settle(message)
            return 404
        return 202

    def _settled(self, principal: Principal, weight: int) -> None:
        self._unanswered[principal] -= weight
        if not self._unanswered[principal]:
            del self._unanswered[principal]


_WORDS: Final = {
    202: "Accepted",
    400: "This is not one JSON-RPC 2.0 message with an id of its own.",
    404: "There is no such session.",
    429: f"{MOST_UNANSWERED} calls of this agent wait for their answers to be taken.",
}


class _Session(Stream):
    """One client: the SDK's server reads what it posts, and writes to its stream."""

    def __init__(
        self,
        principal: Principal,
        requests: MemoryObjectSendStream[SessionMessage | Exception],
        send: Send,
        settled: Callable[[int], None],
    ) -> None:
        self.principal = principal
        self._requests = requests
        self._send = send
        self._settled = settled
        self._unanswered: dict[RequestId, int] = {}
        self._turn = anyio.Lock()

    def expects(self, request_id: RequestId, weight: int) -> bool:
        """Notes a call that is to be answered. False: its id is taken."""
        if request_id in self._unanswered:
            return False
        self._unanswered[request_id] = weight
        return True

    async def take(self, message: JSONRPCMessage, request: Request) -> None:
        """Hands a message to the server."""

        async def cancelled() -> None:
            self.settle(message)

        metadata = ServerMessageMetadata(request_context=request, on_request_unanswered=cancelled)
        await self._requests.send(SessionMessage(message, metadata))

    async def send(self, item: SessionMessage, /) -> None:
        """The server's message; one call is settled when the client has taken its answer."""
        message = item.message
        await self.event("message", message.model_dump_json(by_alias=True, exclude_unset=True))
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self.settle(message)

    async def event(self, kind: str, data: str) -> None:
        """One whole event at a time: long ones go out in pieces."""
        await self._write(f"event: {kind}\r\ndata: {data}\r\n\r\n")

    async def ping(self) -> None:
        """A comment now and then, for as long as the session lasts."""
        while True:
            await anyio.sleep(PING_SECONDS)
            await self._write(": ping\r\n\r\n")

    async def _write(self, text: str) -> None:
        async with self._turn:
            await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    def settle(self, message: JSONRPCMessage) -> None:
        """A call, or its answer: nothing is owed for it any more."""
        request_id = getattr(message, "id", None)
        if request_id in self._unanswered:
            self._settled(self._unanswered.pop(request_id))

    def close(self) -> None:
        """Nothing of it is to be answered any more."""
        self._requests.close()
        if self._unanswered:
            self._settled(sum(self._unanswered.values()))
            self._unanswered.clear()
