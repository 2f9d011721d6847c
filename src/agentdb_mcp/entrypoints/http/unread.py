"""Requests that are answered before they are read: what is left of them is not read for nothing.

uvicorn would take the rest off the wire, however long it is, to reach the connection's next request.
"""

import asyncio
from contextlib import suppress
from typing import Final

from agentdb_mcp.entrypoints.asgi import App, Message, Receive, Scope, Send

SMALL: Final = 64 * 1024
"""Bytes for which it is not worth making the client connect again."""

LINGER_BYTES: Final = 8 * 1024 * 1024
LINGER_SECONDS: Final = 5.0
"""How much of a request is still taken, and dropped, after its answer.

Many clients send all before they look for an answer, and lose it when the connection ends under them.
"""


class Unread:
    """Ends the connection with the answer to a request that may be long and is not read to its end.

    At once when nobody began to read it: its sender is a stranger.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _may_be_long(scope):
            body = _Body(receive)
            await self._app(scope, body.receive, body.answering(send))
        else:
            await self._app(scope, receive, send)


class _Body:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._begun = False
        self._whole = False

    async def receive(self) -> Message:
        self._begun = True
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

    def answering(self, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if self._whole:
                return await send(message)
            if message["type"] == "http.response.start":
                return await send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
            if self._begun and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await self._drop()
                message = {"type": "http.response.body"}
            return await send(message)

        return answer

    async def _drop(self) -> None:
        left = LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._whole and left > 0:
                    left -= len((await self.receive()).get("body", b""))


def _may_be_long(scope: Scope) -> bool:
    """Whether it announces a body that is long, or of no known length."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or int(headers.get(b"content-length", b"0")) > SMALL
