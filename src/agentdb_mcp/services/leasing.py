"""Holding a database while something is done to it at its provider."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from agentdb_mcp.core.databases import Lease
from agentdb_mcp.core.errors import AgentDbError, Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.store import Store

LEASE_SECONDS: Final = 15.0
"""How long a database stays with a worker that is not heard of, because it was killed."""

RENEW_SECONDS: Final = 5.0
"""How often a worker that is at it says so."""

BUSY_POLL_SECONDS: Final = 0.05
"""How often we look again while another process holds the lease."""


@asynccontextmanager
async def held(store: Store, database_id: DatabaseId, lease: Lease) -> AsyncGenerator[None]:
    """Renews the lease as long as the block takes."""
    renewing = asyncio.create_task(_renew(store, database_id, lease))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])


def busy() -> Unavailable:
    """Another process has it, for longer than we wait."""
    return Unavailable(
        "provider_unavailable",
        "The database is still being prepared by another process.",
        "Try again in a minute; a worker finishes it as well.",
    )


async def _renew(store: Store, database_id: DatabaseId, lease: Lease) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        with contextlib.suppress(AgentDbError):  # the next time may go better; else the record notices
            await store.renew(database_id, lease, seconds=LEASE_SECONDS)
