"""`python -m agentdb_mcp.fake_neon [PORT]`: the stand-in by itself, to be tried with Neon's own tools."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.providers.embedded import EmbeddedPostgres


async def serve(home: Path, port: int) -> None:
    """Until interrupted."""
    postgres = await EmbeddedPostgres.open(home)
    fake = await FakeNeon(postgres.admin_uri).start(port)
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    print(f"{fake.api_url} {API_KEY}", flush=True)
    try:
        await stop.wait()
    finally:
        await fake.close()
        await postgres.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fake-neon-") as folder:
        # PostgreSQL does not run as root, and its account must be able to pass.
        Path(folder).chmod(0o711)
        asyncio.run(serve(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 0))
