"""Databases for tests, on the run's own server."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.secrets import ConnectionUri

HASTY = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET autovacuum_naptime = '1h'",
    "SELECT pg_reload_conf()",
)
"""A server as it is in life, but for the waits on the disk and for a cleaner that visits each of a hundred databases:
nobody needs a test's data after a power cut, or for long."""


@asynccontextmanager
async def connected(uri: ConnectionUri) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**dsn.arguments(uri.reveal()))
    try:
        yield connection
    finally:
        await connection.close()


async def run_sql(uri: ConnectionUri, *statements: str) -> None:
    async with connected(uri) as connection:
        for statement in statements:
            await connection.execute(statement)


@contextmanager
def own_database(admin_uri: ConnectionUri, model: ConnectionUri | None = None) -> Iterator[ConnectionUri]:
    """A new database and the plain role that owns it; both are gone afterwards.

    With a `model`, a copy of that database: what is in it belongs to its role, so the copy does too.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    parts = dsn.arguments(admin_uri.reveal())
    owner, template = name, "template0"
    if model is not None:
        owner = template = dsn.arguments(model.reveal())["database"]
    # Copied as files, which is quick where nobody waits for the disk.
    made = f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template} STRATEGY file_copy"
    role = f"CREATE ROLE {name} LOGIN PASSWORD '{name}'"
    asyncio.run(run_sql(admin_uri, *([] if model else [role]), made))
    yield ConnectionUri(f"postgresql://{owner}:{owner}@{parts['host']}:{parts['port']}/{name}")
    dropped = f"DROP DATABASE {name} WITH (FORCE)"
    asyncio.run(run_sql(admin_uri, dropped, *([] if model else [f"DROP ROLE {name}"])))
