"""The real `agentdb` as a subprocess."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., subprocess.CompletedProcess[str]]


def run_agentdb(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`agentdb` as a subprocess with the environment a host would give it, and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "agentdb_mcp", *arguments],
        env={**kept, "AGENTDB_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


KEEPER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from agentdb_mcp import dsn
from agentdb_mcp.providers.embedded import EmbeddedPostgres

async def keep():
    server = await EmbeddedPostgres.open(Path(sys.argv[1]))
    admin = await asyncpg.connect(**dsn.arguments(server.admin_uri.reveal()))
    # As in life but for the waits on the disk: nobody needs a test's data after a power cut.
    await admin.execute("ALTER SYSTEM SET fsync = off")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.close()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()

asyncio.run(keep())
"""
