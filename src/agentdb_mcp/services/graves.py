"""Deleted databases: brought back while their provider can, and forgotten long after it could not."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from agentdb_mcp.core.databases import DatabaseSpec, Desired, Lease, ManagedDatabase, Observed
from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.services.leasing import BUSY_POLL_SECONDS, LEASE_SECONDS, busy, held, lost
from agentdb_mcp.services.steps import check_record, provider_of
from agentdb_mcp.store import Store

TOMBSTONE_DAYS: Final = 90
"""So long a tombstone stays after its database is gone."""

PURGED_AT_ONCE: Final = 100

WAIT_SECONDS: Final = 60.0
"""Longest wait for another process that is at it."""


class Graves:
    """What can still be done about what was deleted."""

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers

    async def bring_back(self, database_id: DatabaseId) -> None:
        """Undo a delete: its row is there again, and due. One that is not deleted stays as it is.

        Raises Missing (`database_not_found` when it is gone for good, `user_not_found`), and
        Denied("forbidden") when there is another in its place.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    if await self._try(database_id):
                        return
                    await asyncio.sleep(BUSY_POLL_SECONDS)
        except TimeoutError:
            raise busy() from None

    async def purge(self) -> int:
        """Forget a few databases whose end the provider confirmed long ago."""
        return await self._store.purge_tombstones(days=TOMBSTONE_DAYS, limit=PURGED_AT_ONCE)

    def recoverable_for(self, database: ManagedDatabase) -> timedelta:
        """How long after its delete that database's provider can bring it back."""
        provider = self._providers.get(database.provider)
        return timedelta(0) if provider is None else provider.recoverable_for

    async def _try(self, database_id: DatabaseId) -> bool:
        """False: somebody else is at it."""
        database = await self._store.find_by_id(database_id)
        if database is None or (database.desired is Desired.DELETED and database.project_id is None):
            raise Missing(
                "database_not_found",
                "There is nothing to bring back: no such database was deleted, or it was never made.",
                "List them: agentdb database list.",
            )
        if database.desired is not Desired.DELETED:
            return True
        claimed = await self._store.claim_tombstone(database_id, seconds=LEASE_SECONDS)
        if claimed is None:
            return False
        await self._revive(*claimed)
        return True

    async def _revive(self, database: ManagedDatabase, lease: Lease) -> None:
        """First at the provider, while the lease keeps others from deleting it; then what is wanted."""
        try:
            async with held(self._store, database.id, lease):
                is_there = await self._reclaimed(database)
            is_back = is_there and await self._store.revive(database.id, lease)
        except BaseException:
            await asyncio.shield(self._give_back(database.id, lease))
            raise
        if not is_there:
            await self._store.record_observed(database.id, Observed.DELETED, lease)
            raise Missing("database_not_found", "The provider deleted it for good.", "Its data is lost.")
        if not is_back:
            await self._give_back(database.id, lease)
            raise lost()

    async def _give_back(self, database_id: DatabaseId, lease: Lease) -> None:
        """A lease that was lost on the way is somebody's who deletes it: what is there is looked at again."""
        if not await self._store.release(database_id, lease):
            await self._store.doubt([database_id])

    async def _reclaimed(self, database: ManagedDatabase) -> bool:
        provider = provider_of(self._providers, database)
        await check_record(self._store, database)
        spec = DatabaseSpec(database.id, database.kind, project_id=database.project_id)
        return await provider.reclaim(spec, database.project_id or "")
