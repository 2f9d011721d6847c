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

HOLD_SECONDS: Final = LEASE_SECONDS - 3.0
"""How long a worker goes on that could not say so: it ends before another may begin, by its own clock."""

BUSY_POLL_SECONDS: Final = 0.05
"""How often we look again while another process holds the lease."""


@asynccontextmanager
async def held(store: Store, database_id: DatabaseId, lease: Lease) -> AsyncGenerator[None]:
    """Renews the lease as long as the block takes. When it is lost the block is ended, with Unavailable:
    somebody else has the database, or may have it soon.
    """
    limit = asyncio.timeout(HOLD_SECONDS)
    try:
        async with limit:
            renewing = asyncio.create_task(_renew(store, database_id, lease, limit))
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.wait([renewing])
    except TimeoutError:
        if not limit.expired():
            raise
        raise lost() from None


def lost() -> Unavailable:
    """What we did to it may have come after what somebody else did."""
    return Unavailable(
        "provider_unavailable",
        "Another process took the database over.",
        "It is set right by whoever is next.",
    )


def busy() -> Unavailable:
    """Another process has it, for longer than we wait."""
    return Unavailable(
        "provider_unavailable",
        "The database is still being prepared by another process.",
        "Try again in a minute; a worker finishes it as well.",
    )


async def _renew(store: Store, database_id: DatabaseId, lease: Lease, limit: asyncio.Timeout) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        asked = clock()
        with contextlib.suppress(AgentDbError):  # the next time may go better
            ours = await store.renew(database_id, lease, seconds=LEASE_SECONDS)
            if limit.expired():
                return
            limit.reschedule(asked + HOLD_SECONDS if ours else asked)
