"""Serving one agent over stdin and stdout: the SDK's server between our tools and our wire."""

import asyncio
import gc
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools
from agentdb_mcp.entrypoints.mcp.refusals import malformed, too_long, without_id
from agentdb_mcp.entrypoints.mcp.server import agent_server
from agentdb_mcp.entrypoints.mcp.streams import Stream
from agentdb_mcp.entrypoints.mcp.wire import Descriptors, TooLong, Wire

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


async def serve_stdio(tools: AgentTools, descriptors: Descriptors) -> None:
    """Serves until the client closes its end or dies or a signal asks to stop; calls in flight are cancelled.

    `descriptors` come from `claimed_stdio()`, which the caller enters before anything that might print.
    """
    wire = Wire(descriptors)
    server = agent_server(tools.databases, lambda _: tools)
    # What was imported stays for good: without this, a full collection walks all of it, 70 ms at a time.
    gc.freeze()
    try:
        with _until_signalled(wire):
            await server.run(_Requests(wire), _Answers(wire), server.create_initialization_options())
    finally:
        await wire.aclose()


@contextmanager
def _until_signalled(wire: Wire) -> Generator[None]:
    """SIGTERM and SIGINT end the stream instead of the process, so that everything is closed in order."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _STOPPING}
    for number in _STOPPING:
        loop.add_signal_handler(number, wire.stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


class _Stream(Stream):
    """The wire belongs to serve_stdio, and is closed there."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire


class _Requests(_Stream):
    """The client's messages. What is no message is answered at once, and the server goes on."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        while (line := await self._wire.read_line()) is not None:
            if isinstance(line, TooLong):
                await self._refuse(too_long(line))
                continue
            if not line.strip():
                continue
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValidationError:
                await self._refuse(malformed(line))
                continue
            refused = without_id(line) if isinstance(message, JSONRPCNotification) else None
            if refused is None:
                return SessionMessage(message)
            await self._refuse(refused)
        raise StopAsyncIteration

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await anext(self)
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    async def _refuse(self, error: bytes) -> None:
        with suppress(BrokenPipeError):
            await self._wire.write(error)


class _Answers(_Stream):
    """The server's messages, a line each."""

    async def send(self, item: SessionMessage, /) -> None:
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            await self._wire.write(text.encode() + b"\n")
        except BrokenPipeError:
            raise anyio.BrokenResourceError from None
