"""A control plane, Neon's stand-in, and a host's story between them, in which anything may go wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Desired, ManagedDatabase, Observed
from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.fake_neon.server import API_KEY
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.store import Store
from support.neon import IMPATIENT_SECONDS, PATIENT_SECONDS, Neon
from support.postgres import connected, run_sql
from support.servers import lets_in

ADA = UserId("ada")
LATER = (
    "UPDATE managed_database SET next_attempt_at = now(), lease_expires_at = least(lease_expires_at, now())"
)
"""Every back-off and every lease has run out."""

Act = Callable[[LifecycleService, WorkspaceId], Awaitable[object]]


async def create(lifecycle: LifecycleService, place: WorkspaceId) -> object:
    return await lifecycle.create_workspace(place, ADA)


async def delete(lifecycle: LifecycleService, place: WorkspaceId) -> object:
    return await lifecycle.delete_workspace(place, ADA)


async def pause(lifecycle: LifecycleService, place: WorkspaceId) -> object:
    row = await database_of(lifecycle, place)
    return row and await lifecycle.pause(row.id)


async def resume(lifecycle: LifecycleService, place: WorkspaceId) -> object:
    row = await database_of(lifecycle, place)
    return row and await lifecycle.resume(row.id)


async def database_of(lifecycle: LifecycleService, place: WorkspaceId) -> ManagedDatabase | None:
    rows = await lifecycle.databases()
    return next(
        (row for row in rows if row.workspace_id == place and row.desired is not Desired.DELETED), None
    )


STORIES: dict[str, tuple[Act, ...]] = {
    "create": (create,),
    "pause": (create, pause),
    "resume": (create, pause, resume),
    "delete": (create, delete),
}
"""What leads there, and last what is disturbed."""


@dataclass(slots=True)
class World:
    """One user and its workspaces. Nothing here is a double but Neon."""

    store: Store
    neon: Neon
    control: ConnectionUri
    places: list[WorkspaceId] = field(default_factory=list[WorkspaceId])
    filled: set[WorkspaceId] = field(default_factory=set[WorkspaceId])
    """Workspaces whose databases hold something."""
    secrets: set[str] = field(default_factory=lambda: {API_KEY})
    """Every password there ever was."""

    @asynccontextmanager
    async def process(
        self, store: Store | None = None, *, patient: bool = True
    ) -> AsyncIterator[LifecycleService]:
        """A process of its own, so to say, with a control plane it may lose."""
        seconds = PATIENT_SECONDS if patient else IMPATIENT_SECONDS
        async with self.neon.another(request_seconds=seconds) as provider:
            theirs = store or self.store
            yield LifecycleService(theirs, Reconciler(theirs, {"neon": provider}), provider="neon")

    async def begin(self) -> None:
        """The user's shared database is there before everything and must be after it."""
        async with self.process() as lifecycle:
            await lifecycle.register_user(ADA)

    async def prepare(self, acts: tuple[Act, ...]) -> WorkspaceId:
        """A new workspace, brought to where the story begins; its database holds something."""
        place = WorkspaceId(f"place-{len(self.places)}")
        self.places.append(place)
        async with self.process() as lifecycle:
            for act in acts:
                await act(lifecycle, place)
                if act is create:
                    (row,) = [row for row in await self.rows() if row.workspace_id == place]
                    writer, _ = await self.store.open_credentials(row.id)
                    await run_sql(writer, "CREATE TABLE kept AS SELECT 7 AS answer")
                    self.filled.add(place)
        return place

    async def disturb(self, act: Act, place: WorkspaceId, point: int, fault: Fault) -> None:
        """One thing goes wrong with the request after so many others."""
        faults = self.neon.fake.faults
        faults.skip(point)
        faults.add(fault)
        async with self.process(patient=fault is not Fault.SLOW) as lifecycle:
            with contextlib.suppress(AgentDbError):
                await act(lifecycle, place)
        faults.rules.clear()
        faults.skip(0)

    async def kill(self, act: Act, place: WorkspaceId, point: int) -> None:
        """The process ends while it waits for the answer to that request, which took effect."""
        faults = self.neon.fake.faults
        reached = len(faults.requests) + point + 1
        faults.skip(point)
        faults.add(Fault.SLOW)
        async with self.process() as lifecycle:
            acting = asyncio.ensure_future(act(lifecycle, place))
            while len(faults.requests) < reached and not acting.done():  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.002)
            acting.cancel()
            await asyncio.wait([acting])
        faults.rules.clear()
        faults.skip(0)

    async def heal(self) -> None:
        """Time passes, and workers come by: to a fixpoint, with what Neon held back in between."""
        async with self.neon.another() as provider:
            reconciler = Reconciler(self.store, {"neon": provider})
            sweeper = Sweeper(self.store, {"neon": provider})
            for _ in range(8):
                await run_sql(self.control, LATER)
                outcome = await reconciler.run_due()
                await self.neon.fake.do_postponed()
                swept = await sweeper.sweep(dry_run=False)
                assert swept.unjudged == ()
                if not outcome.failed and not outcome.done and not swept.findings:
                    return
        raise AssertionError(f"no fixpoint: {outcome}, {swept}")

    async def rows(self) -> list[ManagedDatabase]:
        return await self.store.list_databases(None)

    async def check(self, logged: str) -> None:
        """The promise: one live project for each live owner, none for a deleted one, and nothing lost."""
        rows = await self.rows()
        live = [row for row in rows if row.desired is not Desired.DELETED]
        projects = {project.id: project.name for project in self.neon.projects()}
        assert projects == {row.project_id: f"agentdb-{row.kind}-{row.id}" for row in live}
        assert {row.observed for row in rows if row.desired is Desired.DELETED} <= {Observed.DELETED}
        assert [row.workspace_id for row in live].count(None) == 1, "the shared database stays"
        for row in live:
            await self._check_usable(row)
        async with connected(self.control) as control:
            assert await control.fetchval("SELECT count(*) FROM user_db_budget") == 1
            assert (
                await control.fetchval("SELECT count(*) FROM managed_database WHERE lease_token <> ''") == 0
            )
        dump = await self.store.dump()
        assert not [secret for secret in self.secrets if secret in dump + logged]
        assert "postgresql://" not in dump + logged

    async def _check_usable(self, row: ManagedDatabase) -> None:
        assert row.observed == row.desired, row
        uris = await self.store.open_credentials(row.id)
        self.secrets |= {dsn.arguments(uri.reveal())["password"] for uri in uris}
        for uri in uris:
            assert await lets_in(uri) is (row.desired is Desired.ACTIVE)
        if row.desired is Desired.ACTIVE:
            async with connected(uris[1]) as reader:
                found = await reader.fetchval("SELECT to_regclass('kept') IS NOT NULL")
                assert found is (row.workspace_id in self.filled), "data is kept"

    async def clear(self, place: WorkspaceId) -> None:
        """Make room for the next story."""
        async with self.process() as lifecycle:
            assert (await lifecycle.delete_workspace(place, ADA)).waiting == 0
