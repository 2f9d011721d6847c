"""A tenant's database on the run's server, provisioned as in life: owner, writer, reader."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.providers.server import ServerProvider


@pytest.fixture(scope="module")
def target(admin_uri: ConnectionUri) -> Target:
    """One database for the tests of a module."""
    database_id = DatabaseId(str(uuid.uuid4()))
    made = asyncio.run(ServerProvider(admin_uri).create(DatabaseSpec(database_id, Kind.AGENT)))
    return Target(database_id, Kind.AGENT, "agent", made.credentials.writer, made.credentials.reader)


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    """Pools whose background work must not fail unseen."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    opened = Pools(PoolLimits())
    yield opened
    await opened.close()
    gc.collect()
    assert unseen == []
