"""Workers that lose their lease in the middle of a step, and what is learned of a database meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agentdb_mcp.core.databases import ManagedDatabase, Observed
from agentdb_mcp.core.errors import Missing, Unavailable
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.neon_api import NeonApi
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS
from agentdb_mcp.providers.neon_records import SHUT, Quota
from agentdb_mcp.services import leasing
from agentdb_mcp.services.leasing import held
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store
from support.lives import found
from support.neon import Neon, neon_at, new_http
from support.postgres import run_sql
from support.servers import lets_in

ADA, RESEARCH = UserId("ada"), WorkspaceId("research")
EXPIRE = "UPDATE managed_database SET lease_expires_at = now() - interval '1 second'"


@pytest.fixture
async def neon(admin_uri: ConnectionUri) -> AsyncIterator[Neon]:
    async with neon_at(admin_uri) as neon:
        yield neon


@pytest.fixture
def reconciler(store: Store, neon: Neon) -> Reconciler:
    return Reconciler(store, {"neon": neon.provider})


@pytest.fixture
async def agents(store: Store, reconciler: Reconciler) -> ManagedDatabase:
    """A workspace's database, made."""
    lifecycle = LifecycleService(store, reconciler, provider="neon")
    await lifecycle.register_user(ADA)
    return (await lifecycle.create_workspace(RESEARCH, ADA)).database


@asynccontextmanager
async def interrupted(
    store: Store, neon: Neon, meanwhile: Callable[[], Awaitable[object]]
) -> AsyncIterator[Reconciler]:
    """A worker that is away, once, while an operation runs at Neon; then it goes on as if nothing had been."""
    away = [meanwhile]

    async def sleep(seconds: float) -> None:
        if away:
            await away.pop()()
        await neon.clock.sleep(seconds)

    http = new_http(neon.fake, neon.clock)
    provider = NeonProvider(NeonApi(http, sleep=sleep, monotonic=neon.clock.monotonic))
    try:
        yield Reconciler(store, {"neon": provider})
    finally:
        await provider.close()
    assert away == [], "it was never away"


async def test_a_pause_that_was_overtaken_by_a_resume_is_undone(
    neon: Neon, store: Store, reconciler: Reconciler, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    async def resume() -> None:
        await run_sql(control_uri, EXPIRE)
        await store.resume(agents.id)
        settled = await reconciler.settle(agents.id)
        assert settled.database is not None
        assert settled.database.observed is Observed.ACTIVE

    await store.pause(agents.id)
    async with interrupted(store, neon, resume) as stale:
        await stale.settle(agents.id)
    assert (await found(store, agents.id)).observed is Observed.ACTIVE
    (project,) = [each for each in neon.projects() if each.id == agents.project_id]
    assert Quota(**project.quota) != SHUT
    assert not any(endpoint.disabled for endpoint in project.endpoints.values())


async def test_passwords_set_by_two_at_once_are_made_anew(
    neon: Neon, store: Store, reconciler: Reconciler, control_uri: ConnectionUri
) -> None:
    row = (await store.register_user(ADA, plan=None, provider="neon")).database

    async def overtake() -> None:
        await run_sql(control_uri, EXPIRE)
        await reconciler.settle(row.id)

    async with interrupted(store, neon, overtake) as stale:
        await stale.settle(row.id)
    assert len(neon.projects()) == 1
    for uri in await store.open_credentials(row.id):
        assert await lets_in(uri)


async def test_what_a_creation_makes_after_its_database_was_deleted_is_deleted_too(
    neon: Neon, store: Store, reconciler: Reconciler, control_uri: ConnectionUri
) -> None:
    row = (await store.register_user(ADA, plan=None, provider="neon")).database

    async def delete() -> None:
        await run_sql(control_uri, EXPIRE)
        await store.delete_user(ADA)
        await reconciler.settle(row.id)
        # As if the request that makes it had been on its way until now.
        await neon.api.create_project({"name": f"agentdb-global-{row.id}"})

    async with interrupted(store, neon, delete) as stale:
        with pytest.raises(Missing):
            await stale.settle(row.id)
    await reconciler.run_due()
    assert (await found(store, row.id)).observed is Observed.DELETED
    assert neon.projects() == []


async def test_a_plan_that_changes_while_a_database_is_made_holds_for_it(
    neon: Neon, store: Store, reconciler: Reconciler
) -> None:
    row = (await store.register_user(ADA, plan=None, provider="neon")).database

    async def change() -> None:
        await store.change_plan(ADA, "team")

    async with interrupted(store, neon, change) as busy:
        settled = await busy.settle(row.id)
    assert settled.database is not None
    assert settled.database.observed is Observed.ACTIVE
    (project,) = neon.projects()
    team = NEON_PROJECT_DEFAULTS["team"]
    assert {each.max_cu for each in project.endpoints.values()} == {team.size.max_cu}
    assert project.history_retention_seconds == team.history_retention_seconds
    assert (await reconciler.run_due()).done == 0


async def test_a_worker_stops_where_its_lease_is_anothers(
    store: Store, control_uri: ConnectionUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "RENEW_SECONDS", 0.01)
    row = (await store.register_user(ADA, plan=None, provider="neon")).database
    claim = await store.claim_one(row.id, seconds=60)
    assert claim is not None
    await run_sql(control_uri, "UPDATE managed_database SET lease_token = 'another'")
    with pytest.raises(Unavailable, match="took the database over"):
        async with held(store, row.id, claim[1]):
            await asyncio.Event().wait()


async def test_a_worker_stops_that_cannot_say_in_time_that_it_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "HOLD_SECONDS", 0.05)
    row = (await store.register_user(ADA, plan=None, provider="neon")).database
    claim = await store.claim_one(row.id, seconds=60)
    assert claim is not None
    with pytest.raises(Unavailable, match="took the database over"):
        async with held(store, row.id, claim[1]):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        async with held(store, row.id, claim[1]), asyncio.timeout(0):
            await asyncio.Event().wait()
