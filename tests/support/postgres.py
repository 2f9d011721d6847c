"""Databases for tests, on the run's own server."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.secrets import ConnectionUri


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
def own_database(admin_uri: ConnectionUri) -> Iterator[ConnectionUri]:
    """A new database and the plain role that owns it; both are gone afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(
        run_sql(
            admin_uri, f"CREATE ROLE {name} LOGIN PASSWORD '{name}'", f"CREATE DATABASE {name} OWNER {name}"
        )
    )
    parts = dsn.arguments(admin_uri.reveal())
    yield ConnectionUri(f"postgresql://{name}:{name}@{parts['host']}:{parts['port']}/{name}")
    asyncio.run(run_sql(admin_uri, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}"))
