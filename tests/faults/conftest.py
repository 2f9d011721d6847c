"""A world for one test, in which many stories go wrong one after the other."""

from collections.abc import AsyncIterator

import pytest

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Keys, Store
from support.neon import neon_at
from support.worlds import World


@pytest.fixture
async def world(
    store: Store, keys: Keys, admin_uri: ConnectionUri, control_uri: ConnectionUri
) -> AsyncIterator[World]:
    async with neon_at(admin_uri) as neon:
        world = World(store, keys, neon, control_uri)
        await world.begin()
        yield world
