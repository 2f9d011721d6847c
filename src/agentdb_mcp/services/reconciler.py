"""The one place that makes, pauses, resumes and deletes databases.

Everything else only writes down what is wanted. A crash anywhere therefore leaves a row that still says
what is to be done, and whoever comes next finishes it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from agentdb_mcp.core.databases import (
    Action,
    DatabaseSpec,
    Lease,
    ManagedDatabase,
    Observed,
    plan,
)
from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.store import Store

LEASE_SECONDS = 120.0
"""How long one worker may take for one step before another may try; every step is idempotent."""

BUSY_POLL_SECONDS = 0.05
"""How often we look again while another process holds the lease."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass over the due databases did."""

    done: int = 0
    failed: tuple[tuple[DatabaseId, str], ...] = ()
    """The databases that could not be brought to what is wanted, with the error's code."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One database as it is now."""

    database: ManagedDatabase | None
    """None: its row is gone."""
    unhardened: tuple[str, ...] = ()
    """What the provider lacked the rights to harden while it made the database, in words for the operator."""


class Reconciler:
    """Brings what is observed to what is wanted, one leased database at a time."""

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers

    async def run_due(self, *, limit: int = 100) -> Outcome:
        """One pass over every database that is due. Failures are recorded, backed off and reported."""
        done, failed = 0, list[tuple[DatabaseId, str]]()
        while claimed := await self._store.claim_due(limit=limit, seconds=LEASE_SECONDS):
            for database, lease in claimed:
                try:
                    await self._step(database, lease)
                    done += 1
                except AgentDbError as error:
                    failed.append((database.id, error.code))
        return Outcome(done, tuple(failed))

    async def settle(self, database_id: DatabaseId, *, timeout: float = 60.0) -> Settled:
        """Bring one database to what is wanted now, or raise why it cannot be.

        Waits up to `timeout` seconds for another process that is at it.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._settle(database_id)
        except TimeoutError:
            raise Unavailable(
                "provider_unavailable",
                "The database is still being prepared by another process.",
                "Try again in a minute; `agentdb reconcile` finishes it as well.",
            ) from None

    async def _settle(self, database_id: DatabaseId) -> Settled:
        unhardened: tuple[str, ...] = ()
        while (database := await self._store.find_by_id(database_id)) is not None:
            if self._next(database) is None:
                return Settled(database, unhardened)
            claimed = await self._store.claim_one(database_id, seconds=LEASE_SECONDS)
            if claimed is None:
                await asyncio.sleep(BUSY_POLL_SECONDS)
                continue
            unhardened += await self._step(*claimed)
        return Settled(None)

    def _next(self, database: ManagedDatabase) -> Action | None:
        return plan(database.desired, database.observed, has_credentials=database.has_credentials)

    async def _step(self, database: ManagedDatabase, lease: Lease) -> tuple[str, ...]:
        """One action at the provider and its record. A failure is recorded with a back-off, then raised."""
        try:
            return await self._act(database, lease)
        except AgentDbError as error:
            await self._store.record_failure(database.id, error.code, lease)
            raise
        except Exception:
            await self._store.record_failure(database.id, "internal", lease)
            raise
        except asyncio.CancelledError:
            # Whoever comes next need not wait until the lease runs out.
            await asyncio.shield(self._store.release(database.id, lease))
            raise

    async def _act(self, database: ManagedDatabase, lease: Lease) -> tuple[str, ...]:
        provider = self._provider(database.provider)
        spec = DatabaseSpec(database.id, database.kind)
        match self._next(database):
            case Action.CREATE:
                provisioned = await provider.create(spec)
                await self._store.record_provisioned(database.id, provisioned, lease)
                return provisioned.unhardened
            case Action.RESUME:
                # Unknown is never trusted: what is gone is made anew, what is there is opened.
                observed = await provider.observe(spec, database.project_id)
                if observed is not Observed.DELETED:
                    await provider.resume(spec, _handle(database))
                    observed = Observed.ACTIVE
            case Action.PAUSE:
                await provider.pause(spec, _handle(database))
                observed = Observed.PAUSED
            case Action.DELETE:
                await provider.delete(spec, database.project_id)
                observed = Observed.DELETED
            case None:
                observed = database.observed
        await self._store.record_observed(database.id, observed, lease)
        return ()

    def _provider(self, name: str) -> Provider:
        try:
            return self._providers[name]
        except KeyError:
            raise Misconfigured(
                "settings_invalid",
                f"A database belongs to the provider '{name}', which this process is not set up for.",
                "Start with the settings it was made with: AGENTDB_PROVIDER, AGENTDB_CONTROL_URL.",
            ) from None


def _handle(database: ManagedDatabase) -> str:
    if database.project_id is None:
        raise Unavailable(
            "provider_unavailable", "The provider's handle of this database is not recorded yet."
        )
    return database.project_id
