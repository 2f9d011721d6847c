"""Connections that send half a request, or none."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.server import ServerState

from agentdb_mcp.entrypoints.asgi import App, Receive, Scope, Send
from agentdb_mcp.entrypoints.http.answers import send_json
from agentdb_mcp.entrypoints.http.patience import Patient
from agentdb_mcp.entrypoints.http.unread import LINGER_BYTES, SMALL, Unread
from support.waiting import until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(Patient):
    seconds = 0.2


async def test_half_a_head_ends_and_an_answer_that_takes_its_time_does_not() -> None:
    async def slow(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.wait([asyncio.ensure_future(receive())], timeout=4 * Hasty.seconds)
        await send_json(send, 200, {})

    async with served(slow, Hasty) as port, asyncio.timeout(20):
        for begun in (b"", b"GET / HT", ASK):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            if begun == ASK:
                assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
                writer.write(b"GET / HT")
            assert await reader.read() == b""
            writer.close()


async def test_a_body_is_not_read_before_it_is_asked_for_nor_after_a_stranger_was_refused() -> None:
    asked, known = asyncio.Event(), asyncio.Event()
    connections: list[Patient] = []

    async def refuse(_: Scope, __: Receive, send: Send) -> None:
        asked.set()
        await known.wait()
        await send_json(send, 401, {})

    class Watched(Patient):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections.append(self)

    async with served(Unread(refuse), Watched) as port, asyncio.timeout(20):
        for length, ends in ((SMALL, False), (LINGER_BYTES, True)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            await asked.wait()
            assert not connections[-1].transport.is_reading()
            known.set()
            head = await reader.readuntil(b"{}")
            assert head.startswith(b"HTTP/1.1 401")
            assert (b"connection: close" in head) is ends
            if ends:
                assert await reader.read() == b""
            else:
                writer.write(bytes(length) + ASK)
                assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 401"), (
                    "a small one is passed over"
                )
            writer.close()
            asked.clear()
            known.clear()


async def test_who_was_let_in_may_send_to_its_end_what_was_refused_in_the_middle_and_sees_why() -> None:
    async def refuse(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send_json(send, 429, {})

    async with served(Unread(refuse), Patient) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(LINGER_BYTES // SMALL):
            writer.write(b"%X\r\n%b\r\n" % (SMALL, bytes(SMALL)))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"connection: close" in answer
        writer.close()


@asynccontextmanager
async def served(app: App, protocol: type[Patient]) -> AsyncGenerator[int]:
    """A server of our protocol on a free port."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")  # pyright: ignore[reportArgumentType]
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]

        async def all_ended() -> bool:
            return not state.connections

        await until(all_ended)
