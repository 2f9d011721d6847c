"""Stands before a gateway and shows a token for clients that know of none. Everything else passes as it is.

A process of its own, given the port and the token by the environment; it prints the port where it listens.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress


@contextmanager
def showing(token: str, port: int) -> Generator[int]:
    """The port of a proxy to that port of this machine."""
    told = {**os.environ, "PROXY_TOKEN": token, "PROXY_TO": str(port)}
    with subprocess.Popen([sys.executable, __file__], env=told, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def _serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
    """One request for each connection."""
    with suppress(OSError, asyncio.IncompleteReadError):
        line, _, rest = (await client.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["PROXY_TO"]))
        shown = f"\r\nAuthorization: Bearer {os.environ['PROXY_TOKEN']}\r\nConnection: close\r\n"
        writer.write(line + shown.encode() + rest)
        sending = asyncio.create_task(_copy(client, writer))
        await _copy(reader, answer)
        sending.cancel()
        writer.close()
    answer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(65_536):
            target.write(piece)
            await target.drain()
        target.write_eof()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
