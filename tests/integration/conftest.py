"""What the tests of this room stand on: a tenant's database on the run's server, provisioned as in life, and
databases at the stand-in for Neon with what keeps them.
"""

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
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store
from support.neon import Neon, neon_at


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


@pytest.fixture
async def neon(admin_uri: ConnectionUri) -> AsyncIterator[Neon]:
    async with neon_at(admin_uri) as neon:
        yield neon


@pytest.fixture
def reconciler(store: Store, neon: Neon) -> Reconciler:
    return Reconciler(store, {"neon": neon.provider})


@pytest.fixture
def lifecycle(store: Store, reconciler: Reconciler) -> LifecycleService:
    return LifecycleService(store, reconciler, provider="neon")
