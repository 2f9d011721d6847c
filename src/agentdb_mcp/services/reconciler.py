"""The one place that makes, pauses, resumes and deletes databases.

Everything else only writes down what is wanted. A crash anywhere therefore leaves a row that still says
what is to be done, and whoever comes next finishes it.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from agentdb_mcp.core.databases import (
    Action,
    DatabaseSpec,
    Lease,
    ManagedDatabase,
    Provisioned,
)
from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Missing, Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.services.graves import Graves
from agentdb_mcp.services.leasing import BUSY_POLL_SECONDS, LEASE_SECONDS, busy, held
from agentdb_mcp.services.steps import check_record, next_action, provider_of, take
from agentdb_mcp.store import Store

STEP_SECONDS: Final = 100.0
"""How long the provider may take for one step."""

AT_ONCE: Final = 4
"""Databases worked on at the same time by one process."""

MOVED_AT_ONCE: Final = 100
"""At most so many databases follow their workspaces to another owner in one pass."""

USAGE_ATTEMPTS: Final = 8
"""A delete that failed so often, over some minutes, goes on without the last figures: a database that nobody
wants costs more than a gap in what it cost.
"""

UNSEEN_SECONDS: Final = 6 * 3600.0
"""A database that is as wanted is looked at again after so long: somebody may have deleted it by hand."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass over the due databases did."""

    done: int = 0
    failed: tuple[tuple[DatabaseId, str], ...] = ()
    """The databases that could not be brought to what is wanted, with the error's code."""
    under_way: int = 0
    """Databases that another process is at, or was when it died: their leases last seconds."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One database as it is now."""

    database: ManagedDatabase | None
    """None: its row is gone."""
    unhardened: tuple[str, ...] = ()
    """What the provider lacked the rights to harden while it made the database, in words for the operator."""


class Reconciler:
    """Brings what is observed to what is wanted, one leased database at a time."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], *, step_seconds: float = STEP_SECONDS
    ) -> None:
        self._store = store
        self._providers = providers
        self._step_seconds = step_seconds
        self.graves = Graves(store, providers)

    async def run_due(self, *, at_once: int = AT_ONCE) -> Outcome:
        """One pass over every database that is due, each tried once. Failures are recorded, backed off and
        reported; they hold nobody up, nor what becomes due meanwhile.
        """
        await self._follow_owners()
        due_by = await self._store.now()
        failed = list[tuple[DatabaseId, str]]()
        try:
            async with asyncio.TaskGroup() as group:
                lanes = [group.create_task(self._run_lane(due_by, failed)) for _ in range(at_once)]
        except BaseExceptionGroup as errors:  # the control plane's: each lane has the same to say
            raise errors.exceptions[0] from None
        return Outcome(sum(lane.result() for lane in lanes), tuple(failed))

    async def run_now(self) -> Outcome:
        """The same, and what failed before waits no longer: whoever asks may have mended why it failed."""
        await self._store.end_waits()
        outcome = await self.run_due()
        left = set(await self._store.overdue(-UNSEEN_SECONDS)) - {each for each, _ in outcome.failed}
        return replace(outcome, under_way=len(left))

    async def look(self, *, limit: int, unseen_seconds: float = UNSEEN_SECONDS) -> int:
        """Look at up to `limit` databases that are as wanted and long unseen, and record what is there.

        Returns how many were found otherwise than recorded; they are due then. While a provider is away there
        is no more than one look: whatever is wanted must not wait for them.
        """
        changed = 0
        for _ in range(limit):
            claims = await self._store.claim_unseen(
                limit=1, seconds=LEASE_SECONDS, unseen_seconds=unseen_seconds
            )
            if not claims:
                break
            try:
                changed += await self._look_at(*claims[0])
            except Unavailable:
                break
        return changed

    async def settle(self, database_id: DatabaseId, *, timeout: float = 60.0) -> Settled:
        """Bring one database to what is wanted now, or raise why it cannot be.

        Waits up to `timeout` seconds for another process that is at it.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._settle(database_id)
        except TimeoutError:
            raise busy() from None

    async def _settle(self, database_id: DatabaseId) -> Settled:
        unhardened: tuple[str, ...] = ()
        while (database := await self._store.find_by_id(database_id)) is not None:
            if next_action(database) is None:
                return Settled(database, unhardened)
            claimed = await self._store.claim_one(database_id, seconds=LEASE_SECONDS)
            if claimed is None:
                await asyncio.sleep(BUSY_POLL_SECONDS)
                continue
            unhardened += await self._step(*claimed)
        return Settled(None)

    async def _follow_owners(self) -> None:
        """Where a host gave a workspace away in its own table, its database goes along."""
        for database_id in await self._store.moved(MOVED_AT_ONCE):
            try:
                await self._store.follow_owner(database_id)
            except Misconfigured as error:  # this one's credentials; the others go on
                _log.warning("database %s stays with its old owner: %s", database_id, error.code)

    async def _run_lane(self, due_by: datetime, failed: list[tuple[DatabaseId, str]]) -> int:
        """One database after the other, until none is left that was due; how many are as wanted now."""
        done = 0
        while claims := await self._store.claim_due(limit=1, seconds=LEASE_SECONDS, due_by=due_by):
            database, _ = claims[0]
            try:
                await self._finish(*claims[0])
                done += 1
            except AgentDbError as error:
                failed.append((database.id, error.code))
            except Exception as error:  # noqa: BLE001 - its text may hold a URI; the others go on
                _log.error("database %s: %s", database.id, type(error).__name__)
                failed.append((database.id, "internal"))
        return done

    async def _finish(self, database: ManagedDatabase, lease: Lease) -> None:
        """Every step there is to take, unless another process takes over."""
        await self._step(database, lease)
        while claimed := await self._store.claim_one(database.id, seconds=LEASE_SECONDS):
            await self._step(*claimed)

    async def _look_at(self, database: ManagedDatabase, lease: Lease) -> bool:
        """Whether it is otherwise than recorded. Raises Unavailable when the provider is."""
        spec = await self._spec(database)
        try:
            async with held(self._store, database.id, lease), asyncio.timeout(self._step_seconds):
                observed = await provider_of(self._providers, database).observe(spec, database.project_id)
        except (AgentDbError, TimeoutError) as error:  # the provider's trouble, not this database's
            _log.warning("database %s could not be looked at: %s", database.id, type(error).__name__)
            await self._store.record_unchanged(database.id, lease)
            if isinstance(error, AgentDbError) and not isinstance(error, Unavailable):
                return False
            raise Unavailable("provider_unavailable", "The provider does not answer.") from None
        if observed is database.observed:
            await self._store.record_unchanged(database.id, lease)
            return False
        _log.warning("database %s is %s at the provider, not %s", database.id, observed, database.observed)
        return await self._store.record_observed(database.id, observed, lease)

    async def _step(self, database: ManagedDatabase, lease: Lease) -> tuple[str, ...]:
        """One action at the provider and its record. A failure is recorded with a back-off, then raised."""
        try:
            return await self._act(database, lease)
        except AgentDbError as error:
            await self._believe(database, await self._store.record_failure(database.id, error.code, lease))
            raise
        except Exception:
            await self._believe(database, await self._store.record_failure(database.id, "internal", lease))
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(database, lease))
            raise

    async def _give_back(self, database: ManagedDatabase, lease: Lease) -> None:
        """Whoever comes next need not wait until the lease runs out."""
        await self._believe(database, await self._store.release(database.id, lease))

    async def _believe(self, database: ManagedDatabase, recorded: bool) -> None:
        """A record is refused when the lease was lost (a process that was stopped, a machine asleep). What we
        did may have come after what another worker did and recorded: it is looked at again.
        """
        if not recorded:
            _log.warning("database %s: the lease was lost, it is gone over again", database.id)
            await self._store.doubt([database.id])

    async def _act(self, database: ManagedDatabase, lease: Lease) -> tuple[str, ...]:
        provider, spec = provider_of(self._providers, database), await self._spec(database)
        await check_record(self._store, database)
        try:
            async with held(self._store, database.id, lease), asyncio.timeout(self._step_seconds):
                if next_action(database) is Action.DELETE:
                    await self._keep_final_usage(provider, spec, database, lease)
                result = await take(provider, spec, database)
        except TimeoutError:
            raise Unavailable(
                "provider_unavailable", "The provider did not finish in time.", "It is tried again later."
            ) from None
        if isinstance(result, Provisioned):
            await self._record_provisioned(database, result, lease)
            return result.unhardened
        await self._believe(database, await self._store.record_observed(database.id, result, lease))
        return ()

    async def _keep_final_usage(
        self, provider: Provider, spec: DatabaseSpec, database: ManagedDatabase, lease: Lease
    ) -> None:
        """What was used is known to nobody after the delete: asked for first, and again, but not for ever."""
        if database.project_id is None:
            return
        try:
            usage = (await provider.usage(spec, database.project_id)).as_dict()
        except Missing as error:
            usage = {"missing": error.code}
        except AgentDbError as error:
            if database.attempts < USAGE_ATTEMPTS:
                raise
            _log.warning("database %s is deleted without its last figures: %s", database.id, error.code)
            usage = {"missing": error.code}
        await self._store.record_final_usage(database.id, usage, lease)

    async def _record_provisioned(self, database: ManagedDatabase, made: Provisioned, lease: Lease) -> None:
        """Without the lease, the passwords just set are not those that another worker recorded: new ones are
        made.
        """
        recorded = await self._store.record_provisioned(database.id, made, lease)
        if not recorded:
            await self._store.forget_credentials(database.id)
        await self._believe(database, recorded)

    async def _spec(self, database: ManagedDatabase) -> DatabaseSpec:
        plan_of_owner = await self._store.plan_of(database.user_id)
        return DatabaseSpec(database.id, database.kind, plan_of_owner, database.project_id)
