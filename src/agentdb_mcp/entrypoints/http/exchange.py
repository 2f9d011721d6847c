"""One request and its answer, bounded both ways, with an eye on whether the client is still there.

A client that hangs up is noticed only by whoever waits for its next message, and not every server behind
this does: the MCP SDK's transport of the handshake era lets a call run on for nobody.
"""

import asyncio
from typing import Final

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.entrypoints.asgi import (
    App,
    Departure,
    Message,
    Receive,
    Scope,
    Send,
    caller_of,
    set_body,
    set_departure,
)
from agentdb_mcp.entrypoints.http.answers import send_error
from agentdb_mcp.entrypoints.http.room import Keep, Room
from agentdb_mcp.entrypoints.http.structure import check_structure

MOST_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request, as on stdio."""

PATIENCE: Final = 30.0
"""Seconds for a request to arrive, and for a client to take each piece of its answer."""

PIECE: Final = 64 * 1024
"""Bytes handed to the socket at once: no more lies there, unseen, for a client that takes nothing."""


class Exchange:
    """Reads the whole request first; cancels the work for a client that left or does not listen."""

    def __init__(self, app: App, room: Room) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Denied("rate_limited") for what finds no room."""
        with self._room.place(caller_of(scope).owner) as keep:
            try:
                async with asyncio.timeout(PATIENCE):
                    body = await _body(receive, keep)
            except TimeoutError:
                await send_error(scope, send, _too_slow(), status=408)
            except Invalid as error:
                await send_error(scope, send, error, status=413)
            else:
                if body is not None:
                    await self._answer(body, scope, receive, send)

    async def _answer(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        departure = Departure()
        set_departure(scope, departure)
        set_body(scope, body)
        watching = asyncio.create_task(_watch(receive, departure))
        try:
            with departure.stops():
                await self._app(scope, _replay(body, departure), _in_pieces(send, departure))
        finally:
            departure.happen()
            watching.cancel()


async def _body(receive: Receive, keep: Keep) -> bytes | None:
    """The whole body; None when the client left in the middle."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            raise Invalid(
                "bad_argument",
                f"A request has at most {MOST_BODY} bytes.",
                "Send the data in several calls.",
            )
        keep(len(body))
        if not message.get("more_body", False):
            whole = bytes(body)
            check_structure(whole)
            return whole


async def _watch(receive: Receive, departure: Departure) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    departure.happen()


def _replay(body: bytes, departure: Departure) -> Receive:
    """What the client sent, once, and that it left, when it does."""
    unread = [body]

    async def receive() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await departure.has_happened.wait()
        return {"type": "http.disconnect"}

    return receive


def _in_pieces(send: Send, departure: Departure) -> Send:
    async def send_piece(message: Message) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await send(message)
        except TimeoutError:
            departure.happen()

    async def send_message(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send_piece(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        last = max(len(body) - 1, 0) // PIECE * PIECE
        for start in range(0, last, PIECE):
            await send_piece({**message, "body": body[start : start + PIECE], "more_body": True})
        if not more:
            departure.answered()
        await send_piece({**message, "body": body[last:]})

    return send_message


def _too_slow() -> Invalid:
    return Invalid("bad_argument", "The request did not arrive in time.", "Send it again.")
