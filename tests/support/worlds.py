"""A control plane, Neon's stand-in, and a host's story between them, in which anything may go wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import httpx

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Desired, ManagedDatabase, Observed
from agentdb_mcp.core.errors import AgentDbError, Missing
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.fake_neon.server import API_KEY
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS
from agentdb_mcp.providers.neon_records import SHUT, Quota
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.store import Keys, Store
from support.neon import Halting, Neon
from support.postgres import connected, run_sql
from support.servers import lets_in, wire_to

ADA, BEN = UserId("ada"), UserId("ben")
LATER = (
    "UPDATE managed_database SET next_attempt_at = now(), lease_expires_at = least(lease_expires_at, now())"
)
"""Every back-off and every lease has run out."""

DUE = "UPDATE managed_database SET next_attempt_at = now()"
"""Every back-off has run out, and no lease."""

RESTED = "DELETE FROM rate_budget"
"""Nobody asked Neon for anything for a while."""

GRACE_IS_OVER = "UPDATE database_tombstone SET delete_after = least(delete_after, now())"


@dataclass(frozen=True, slots=True)
class Process:
    """What a process of its own works with."""

    lifecycle: LifecycleService
    reconciler: Reconciler
    sweeper: Sweeper
    store: Store
    neon: Neon

    async def database_of(self, place: WorkspaceId) -> ManagedDatabase | None:
        """The workspace's database that is wanted, or else the last one that is not."""
        rows = [row for row in await self.lifecycle.databases() if row.workspace_id == place]
        return max(rows, key=lambda row: row.desired is not Desired.DELETED, default=None)

    async def owner_of(self, place: WorkspaceId) -> UserId:
        return await self.store.workspace_owner(place) or ADA


Act = Callable[[Process, WorkspaceId], Awaitable[object]]


async def create(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.create_workspace(place, await process.owner_of(place))


async def begin(process: Process, place: WorkspaceId) -> object:
    """A database whose making was cut short after its project was there, and before that was recorded."""
    row = await process.store.create_workspace(place, ADA, name="", provider="neon")
    made = await process.neon.api.create_project({"name": f"agentdb-{row.kind}-{row.id}"})
    return await process.neon.api.settle(made.project.id)


async def delete(process: Process, place: WorkspaceId) -> object:
    await process.store.set_delete_grace(0)
    return await process.lifecycle.delete_workspace(place, await process.owner_of(place))


async def delete_later(process: Process, place: WorkspaceId) -> object:
    await process.store.set_delete_grace(24)
    return await process.lifecycle.delete_workspace(place, await process.owner_of(place))


async def undelete(process: Process, place: WorkspaceId) -> object:
    row = await process.database_of(place)
    return row and await process.lifecycle.undelete(row.id)


async def pause(process: Process, place: WorkspaceId) -> object:
    row = await process.database_of(place)
    return row and await process.lifecycle.pause(row.id)


async def resume(process: Process, place: WorkspaceId) -> object:
    row = await process.database_of(place)
    return row and await process.lifecycle.resume(row.id)


async def archive(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.archive_workspace(place, await process.owner_of(place))


async def restore(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.restore_workspace(place, await process.owner_of(place))


async def transfer(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.transfer_workspace(place, await process.owner_of(place), BEN)


async def change_plan(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.change_plan(await process.owner_of(place), "team")


async def settle_in(process: Process, place: WorkspaceId) -> object:
    """A user of the workspace's own."""
    await process.lifecycle.register_user(UserId(place))
    return await process.lifecycle.create_workspace(place, UserId(place))


async def leave(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.delete_user(UserId(place))


async def double(process: Process, place: WorkspaceId) -> object:
    """A second project of the database's, as a doubled request leaves it."""
    row = await process.database_of(place)
    return row and await process.neon.api.create_project({"name": f"agentdb-{row.kind}-{row.id}"})


async def register(process: Process, place: WorkspaceId) -> object:
    return await process.lifecycle.register_user(UserId(place))


async def mend(process: Process, place: WorkspaceId) -> object:
    row = await process.database_of(place)
    return row and await process.lifecycle.mend(row.id)


async def lose(process: Process, place: WorkspaceId) -> object:
    """A person deletes the project in Neon's console."""
    row = await process.database_of(place)
    return row and row.project_id and await process.neon.api.delete_project(row.project_id)


async def look(process: Process, _: WorkspaceId) -> object:
    await process.reconciler.look(limit=10, unseen_seconds=0)
    return await process.reconciler.run_due()


async def sweep(process: Process, _: WorkspaceId) -> object:
    await process.sweeper.sweep(dry_run=False)
    return await process.reconciler.run_due()


class Ending(StrEnum):
    """What becomes of a process at a request."""

    STOPPED = "stopped"
    """It is told to end while it waits for the answer, and gives back what it holds."""
    KILLED = "killed"
    """It ends while it waits for the answer, and nobody hears of it again."""
    KILLED_BEFORE = "killed before"
    """The same just before it sends the request."""
    OVERTAKEN = "overtaken"
    """It hears the answer when its lease has run out and others have done its work, and then the contrary; it
    goes on.
    """
    OVERTAKEN_BEFORE = "overtaken before"
    """The same, and only then it sends the request."""


SENT = {Ending.STOPPED, Ending.KILLED, Ending.OVERTAKEN}
KILLED = {Ending.KILLED, Ending.KILLED_BEFORE}
OVERTAKEN = {Ending.OVERTAKEN, Ending.OVERTAKEN_BEFORE}

STORIES: dict[str, tuple[Act, ...]] = {
    "create": (create,),
    "pause": (create, pause),
    "resume": (create, pause, resume),
    "delete": (create, delete),
    "delete half made": (begin, delete),
    "archive": (create, archive),
    "restore": (create, archive, restore),
    "transfer": (create, transfer),
    "change of plan": (settle_in, change_plan),
    "delete later": (create, delete_later),
    "undelete": (create, delete, undelete),
    "delete a user": (settle_in, leave),
    "sweep": (create, double, sweep),
    "register a user": (register,),
    "mend": (create, mend),
    "look": (create, lose, look),
}
"""What leads there, and last what is disturbed."""


CONTRARY: dict[Act, Act] = {
    create: delete,
    pause: resume,
    resume: pause,
    archive: restore,
    restore: archive,
    delete: undelete,
    undelete: delete,
}
"""What others do while a process is away: what it still does then is not what is wanted any more."""


@dataclass(slots=True)
class World:
    """One user and its workspaces. Nothing here is a double but Neon."""

    store: Store
    keys: Keys
    neon: Neon
    control: ConnectionUri
    places: list[WorkspaceId] = field(default_factory=list[WorkspaceId])
    filled: set[WorkspaceId] = field(default_factory=set[WorkspaceId])
    """Workspaces whose databases hold something."""
    secrets: set[str] = field(default_factory=lambda: {API_KEY})
    """Every password there ever was."""

    @asynccontextmanager
    async def process(
        self,
        store: Store | None = None,
        *,
        patient: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> AsyncIterator[Process]:
        """A process of its own, so to say, with a control plane it may lose."""
        theirs = store or self.store
        async with self.neon.another(
            patient=patient,
            turns=theirs,
            transport=transport,
            on_record_of_others=theirs.on_record_of_others,
        ) as provider:
            reconciler = Reconciler(theirs, {"neon": provider})
            lifecycle = LifecycleService(theirs, reconciler, provider="neon")
            yield Process(lifecycle, reconciler, Sweeper(theirs, {"neon": provider}), theirs, self.neon)

    async def begin(self) -> None:
        """The users' shared databases are there before everything and must be after it."""
        async with self.process() as process:
            await process.lifecycle.register_user(ADA)
            await process.lifecycle.register_user(BEN, plan="pro")

    async def prepare(self, acts: tuple[Act, ...]) -> WorkspaceId:
        """A new workspace, brought to where the story begins; its database holds something."""
        place = WorkspaceId(f"place-{len(self.places)}")
        self.places.append(place)
        await run_sql(self.control, RESTED)
        async with self.process() as process:
            for act in acts:
                await act(process, place)
                if act in {create, settle_in}:
                    (row,) = [row for row in await self.rows() if row.workspace_id == place]
                    writer, _ = await self.store.open_credentials(row.id)
                    await run_sql(writer, "CREATE TABLE kept AS SELECT 7 AS answer")
                    self.filled.add(place)
        return place

    async def disturb(
        self, act: Act, place: WorkspaceId, point: int, fault: Fault, *, beside: bool = False
    ) -> None:
        """One thing goes wrong with the request after so many others, of whoever sends it: with `beside` a
        worker is at it too.
        """
        faults = self.neon.fake.faults
        faults.skip(point)
        faults.add(fault)
        async with self.process(patient=fault is not Fault.SLOW) as process:
            acting = asyncio.ensure_future(act(process, place))
            if beside:
                await self._race(acting)
            with contextlib.suppress(AgentDbError):
                await acting
        faults.rules.clear()
        faults.skip(0)

    async def _race(self, acting: asyncio.Future[object]) -> None:
        """Another process takes up whatever is due, as long as that one acts."""
        async with self.process(patient=False) as worker:
            while not acting.done():
                await run_sql(self.control, DUE)
                await worker.reconciler.run_due()
                await asyncio.sleep(0)

    async def end(self, act: Act, place: WorkspaceId, point: int, ending: Ending) -> None:
        """The process ends at that request, or is away for so long that others do its work meanwhile."""
        halting = Halting(point, sent=ending in SENT)
        async with wire_to(self.control) as wire:
            theirs = await Store.open(wire.uri, self.keys)
            async with self.process(theirs, transport=halting) as process:
                acting = asyncio.ensure_future(act(process, place))
                reached = asyncio.ensure_future(halting.reached.wait())
                await asyncio.wait((acting, reached), return_when=asyncio.FIRST_COMPLETED)
                if ending in KILLED:
                    wire.cut()
                elif ending in OVERTAKEN:
                    await self.heal()
                    if act in CONTRARY:
                        async with self.process() as other:
                            with contextlib.suppress(Missing):  # what was never made is not brought back
                                await CONTRARY[act](other, place)
                    halting.go_on.set()
                    await asyncio.wait([acting])
                for task in (acting, reached):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, AgentDbError):
                        await task
            await theirs.close()

    async def heal(self) -> None:
        """Time passes, and workers come by: to a fixpoint, with what Neon held back in between."""
        async with self.process() as process:
            for _ in range(8):
                await run_sql(self.control, LATER, RESTED)
                outcome = await process.reconciler.run_due()
                await self.neon.fake.do_postponed()
                swept = await process.sweeper.sweep(dry_run=False)
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
        kept = [row for row in rows if row.kept]
        projects = {project.id: project.name for project in self.neon.projects()}
        assert projects == {row.project_id: f"agentdb-{row.kind}-{row.id}" for row in live + kept}
        assert {row.observed for row in kept} <= {Observed.PAUSED}
        gone = [row for row in rows if row.desired is Desired.DELETED and not row.kept]
        assert {row.observed for row in gone} <= {Observed.DELETED}
        for row in live + kept:
            self._check_at_neon(row, await self.store.plan_of(row.user_id))
        assert not [row for row in gone if row.has_credentials]
        for row in live:
            await self._check_usable(row)
        async with connected(self.control) as control:
            users = {row["id"] for row in await control.fetch('SELECT id FROM "user"')}
            assert sorted(row.user_id for row in live if row.workspace_id is None) == sorted(users)
            budgets = await control.fetch("SELECT user_id FROM user_db_budget")
            assert {row["user_id"] for row in budgets} == users
            owners = dict(await control.fetch("SELECT id, owner_id FROM workspace"))
            assert owners == {row.workspace_id: row.user_id for row in live if row.workspace_id}
            at_work = "SELECT count(*) FROM managed_database WHERE lease_expires_at > now()"
            assert await control.fetchval(at_work) == 0
            unmetered = (
                "SELECT count(*) FROM database_tombstone"
                " WHERE observed_state = 'deleted' AND neon_project_id IS NOT NULL AND final_usage IS NULL"
            )
            assert await control.fetchval(unmetered) == 0, "the last figures are recorded"
        dump = await self.store.dump()
        assert not [secret for secret in self.secrets if secret in dump + logged]
        assert "postgresql://" not in dump + logged

    def _check_at_neon(self, row: ManagedDatabase, plan: str) -> None:
        """Shut as a whole and never unlimited, or open as a whole and of the plan's size."""
        (project,) = [each for each in self.neon.projects() if each.id == row.project_id]
        self.secrets |= {role.password for role in project.roles.values()}
        paused, wanted = row.observed is Observed.PAUSED, NEON_PROJECT_DEFAULTS[plan]
        assert Quota(**project.quota) == (SHUT if paused else wanted.quota)
        assert {each.disabled for each in project.endpoints.values()} == {paused}
        if not paused:
            sizes = {(each.min_cu, each.max_cu) for each in project.endpoints.values()}
            assert sizes == {(wanted.size.min_cu, wanted.size.max_cu)}
            assert project.history_retention_seconds == wanted.history_retention_seconds

    async def _check_usable(self, row: ManagedDatabase) -> None:
        assert row.observed == row.desired, row
        if row.desired is Desired.PAUSED and not row.has_credentials:
            return  # making them would open it: they are made when it is resumed
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
        await run_sql(self.control, GRACE_IS_OVER, RESTED)
        async with self.process() as process:
            await delete(process, place)
            await leave(process, place)
            assert (await process.reconciler.run_due()).failed == ()
        assert place not in {
            row.workspace_id for row in await self.rows() if row.observed is not Observed.DELETED
        }
