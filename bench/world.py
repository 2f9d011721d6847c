"""What every measurement of the server works on: a PostgreSQL, a workspace with a table. And the floors."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from agentdb_mcp.providers.embedded import EmbeddedPostgres
from bench.clients import StdioClient

ROUNDS = 5
"""Every contestant is visited once in each, so that a noisy minute hurts all of them alike."""

TABLE = """CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, price numeric(12,2), stock integer,
    active boolean, added timestamptz, tags text[], note text)"""
ROWS = """INSERT INTO item SELECT n, 'item ' || n, n * 1.25, n % 100, n % 3 = 0,
    timestamptz '2026-01-01' + n * interval '1 hour', ARRAY['a', 'b'], repeat('x', 20)
    FROM generate_series(1, 10000) AS n"""

LIFTED = {
    "AGENTDB_MAX_ROWS": "10000",
    "AGENTDB_MAX_RESULT_BYTES": "100000000",
    "AGENTDB_MAX_RESULT_TOKENS": "10000000",
}
"""The caps, so that ten thousand rows come back whole."""

OURS = [sys.executable, "-m", "agentdb_mcp", "mcp", "--workspace", "bench"]
GATEWAY = [sys.executable, "-m", "agentdb_mcp", "serve", "--port", "0"]
MINIMAL = [sys.executable, "-m", "bench.minimal_server"]


@dataclass(frozen=True)
class World:
    environment: dict[str, str]
    """Of our servers, with every setting as it is by default."""
    url: str
    """The database that the floors connect to directly: it holds the same table."""

    @property
    def lifted(self) -> dict[str, str]:
        return {**self.environment, **LIFTED}

    @property
    def floor(self) -> dict[str, str]:
        return {**self.environment, "BENCH_URL": self.url}


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="agentdb-bench-", dir="/tmp") as name:
        home = Path(name)
        home.chmod(0o711)
        server = asyncio.run(EmbeddedPostgres.open(home))
        try:
            yield prepared(World({**os.environ, "AGENTDB_HOME": name}, server.admin_uri.reveal()))
        finally:
            asyncio.run(server.close())


def prepared(made: World) -> World:
    made.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # starts are measured with compiled modules
    agentdb(made, "user", "create", "bench")
    agentdb(made, "workspace", "create", "bench", "--user", "bench")
    asyncio.run(fill(made.url))
    client = StdioClient(OURS, made.environment)
    client.tool("execute_ddl", sql=TABLE)
    client.tool("execute", sql=ROWS)
    client.close()
    return made


def agentdb(made: World, *words: str) -> str:
    """A command of the operator's: what it printed."""
    command = [sys.executable, "-m", "agentdb_mcp", *words]
    return subprocess.run(command, env=made.environment, check=True, stdout=subprocess.PIPE, text=True).stdout


async def fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    await connection.execute(ROWS)
    await connection.execute("ANALYZE item")
    await connection.close()
