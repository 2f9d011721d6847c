"""Connections that send half a request, or none."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from agentdb_mcp.entrypoints.asgi import Receive, Scope, Send
from agentdb_mcp.entrypoints.http.answers import send_json
from agentdb_mcp.entrypoints.http.patience import Patient

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(Patient):
    seconds = 0.2


async def test_half_a_head_ends_and_an_answer_that_takes_its_time_does_not() -> None:
    async def slow(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.wait([asyncio.ensure_future(receive())], timeout=4 * Hasty.seconds)
        await send_json(send, 200, {})

    config = uvicorn.Config(slow, log_config=None, lifespan="off", ws="none")  # pyright: ignore[reportArgumentType]
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hasty(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(20):
        for begun in (b"", b"GET / HT", ASK):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            if begun == ASK:
                assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
                writer.write(b"GET / HT")
            assert await reader.read() == b""
            writer.close()
