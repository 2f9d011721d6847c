"""Workers: they hear what is wanted, go on after trouble, end when told to, and share the work."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from agentdb_mcp.core.audit import Record
from agentdb_mcp.core.databases import Observed
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.ids import DatabaseId, UserId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.services.auditor import Auditor, Retention
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.services.worker import Worker
from agentdb_mcp.store import Store
from support.lives import found
from support.neon import Neon, neon_spec
from support.postgres import run_sql
from support.waiting import until

ADA = UserId("ada")


@asynccontextmanager
async def working(store: Store, neon: Neon) -> AsyncIterator[asyncio.Task[None]]:
    """A worker inside this block; it must end without trouble when told to."""
    stop = asyncio.Event()
    auditor = Auditor(store, Retention(days=90, rows=10_000), lambda: datetime.now(UTC))
    async with store.changes() as changes:
        providers = {"neon": neon.provider}
        worker = Worker(Reconciler(store, providers), changes, auditor, Sweeper(store, providers))
        task = asyncio.create_task(worker.run(stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)


async def until_active(store: Store, database_id: DatabaseId) -> None:
    async def active() -> bool:
        return (await found(store, database_id)).observed is Observed.ACTIVE

    await until(active, seconds=60)


async def test_a_worker_makes_what_is_wanted_while_it_runs(store: Store, neon: Neon) -> None:
    async with working(store, neon):
        for name in ("ada", "ben"):
            registration = await store.register_user(UserId(name), plan=None, provider="neon")
            await until_active(store, registration.database.id)
    assert len(neon.projects()) == 2


async def test_a_worker_goes_on_after_neon_was_not_there(
    store: Store, neon: Neon, control_uri: ConnectionUri
) -> None:
    neon.fake.faults.add(Fault.ERROR, method="POST")
    registration = await store.register_user(ADA, plan=None, provider="neon")
    async with working(store, neon):
        await until_active(store, registration.database.id)
    assert len(neon.projects()) == 1


async def test_a_worker_that_is_told_to_end_gives_its_databases_back(store: Store, neon: Neon) -> None:
    registration = await store.register_user(ADA, plan=None, provider="neon")
    neon.fake.faults.add(Fault.SLOW, method="POST")

    async def posted() -> bool:
        return ("POST", "/projects") in neon.fake.faults.requests

    async with working(store, neon):
        await until(posted)
    assert await store.claim_one(registration.database.id, seconds=1) is not None


async def test_three_workers_at_once_do_everything_once(store: Store, neon: Neon) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(working(store, neon))
        made = [
            await store.register_user(UserId(f"user-{number}"), plan=None, provider="neon")
            for number in range(4)
        ]
        for registration in made:
            await until_active(store, registration.database.id)
    assert len({project.name for project in neon.projects()}) == len(neon.projects()) == 4


async def test_a_worker_survives_the_loss_of_its_connections(
    store: Store, neon: Neon, admin_uri: ConnectionUri
) -> None:
    async with working(store, neon) as task:
        first = await store.register_user(ADA, plan=None, provider="neon")
        await until_active(store, first.database.id)
        await run_sql(
            admin_uri,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'agentdb' AND datname LIKE 'test~_%' ESCAPE '~'",
        )

        async def registered() -> bool:
            with contextlib.suppress(Unavailable):  # the test's own connections were cut as well
                return bool(await store.register_user(UserId("ben"), plan=None, provider="neon"))
            return False

        await until(registered)
        (second,) = await store.list_databases(UserId("ben"))
        await until_active(store, second.id)
        assert not task.done()


async def test_a_worker_keeps_the_audit_trail_within_its_bounds(store: Store, neon: Neon) -> None:
    old = datetime.now(UTC) - timedelta(days=91)
    await store.append_audit([Record(ADA, old, "agent", "query", "ok")] * 3)

    async def pruned() -> bool:
        async with store.reading_audit() as reading:
            return [chain.cut_seq for _, chain in await reading.chains()] == [3]

    async with working(store, neon):
        await until(pruned)


async def test_a_worker_deletes_the_second_project_of_a_database_and_not_what_no_row_speaks_of(
    store: Store, neon: Neon, lifecycle: LifecycleService, control_uri: ConnectionUri
) -> None:
    shared = (await lifecycle.register_user(ADA)).database
    late = await neon.api.create_project({"name": f"agentdb-global-{shared.id}"})
    nobodys = await neon.provider.create(neon_spec())

    async def swept() -> bool:
        return late.project.id not in {each.id for each in neon.projects()}

    await store.sight_orphans("neon", [nobodys.project_id])
    await run_sql(control_uri, "UPDATE orphan_sighting SET first_seen_at = now() - interval '25 hours'")
    async with working(store, neon):
        await until(swept)
    assert {each.id for each in neon.projects()} == {shared.project_id, nobodys.project_id}
