"""What is deleted: refused where protected, kept for a while, brought back, metered once more, forgotten."""

import asyncio
import json

import pytest

from agentdb_mcp.core.databases import ManagedDatabase, Observed
from agentdb_mcp.core.errors import Denied, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.services.doctor import Doctor
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import USAGE_ATTEMPTS, Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.store import Store
from support.lives import found
from support.neon import Neon
from support.postgres import connected, run_sql
from support.servers import lets_in

ADA, RESEARCH = UserId("ada"), WorkspaceId("research")
GRACE_IS_OVER = "UPDATE database_tombstone SET delete_after = now() - interval '1 second'"
DUE = "UPDATE managed_database SET next_attempt_at = now()"


@pytest.fixture
async def agents(store: Store, lifecycle: LifecycleService) -> ManagedDatabase:
    """A workspace's database that holds something."""
    await lifecycle.register_user(ADA)
    made = (await lifecycle.create_workspace(RESEARCH, ADA)).database
    writer, _ = await store.open_credentials(made.id)
    await run_sql(writer, "CREATE TABLE kept AS SELECT 7 AS answer")
    return made


async def holds_its_data(store: Store, database_id: DatabaseId) -> bool:
    _, reader = await store.open_credentials(database_id)
    async with connected(reader) as connection:
        return await connection.fetchval("SELECT answer FROM kept") == 7


async def test_in_its_grace_a_deleted_database_is_paused_and_can_be_brought_back(
    *,
    neon: Neon,
    store: Store,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    writer, _ = await store.open_credentials(agents.id)
    await store.set_delete_grace(24)
    for _ in range(2):
        removal = await lifecycle.delete_workspace(RESEARCH, ADA)
        assert (removal.waiting, [each.database_id for each in removal.recoverable]) == (0, [agents.id])
    kept = await found(store, agents.id)
    assert (kept.kept, kept.observed, kept.has_credentials) == (True, Observed.PAUSED, False)
    assert not await lets_in(writer)
    await run_sql(control_uri, DUE)
    assert (await reconciler.run_due()).done == 0
    swept = await Sweeper(store, {"neon": neon.provider}).sweep(dry_run=False)
    assert (swept.findings, swept.unjudged) == ((), ())
    receipts = await asyncio.gather(*(lifecycle.undelete(agents.id) for _ in range(3)))
    assert {(each.pending, each.database.observed) for each in receipts} == {(None, Observed.ACTIVE)}
    assert await store.workspace_owner(RESEARCH) == ADA
    assert await holds_its_data(store, agents.id)
    await lifecycle.delete_workspace(RESEARCH, ADA)
    await run_sql(control_uri, GRACE_IS_OVER)
    assert (await reconciler.run_due()).done == 1
    assert agents.project_id not in {project.id for project in neon.projects()}


async def test_the_grace_holds_where_a_host_deletes_its_own_rows_and_not_for_what_was_never_made(
    store: Store, reconciler: Reconciler, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    await store.set_delete_grace(1)
    unmade = (await store.create_workspace(WorkspaceId("unmade"), ADA, name="", provider="neon")).id
    await run_sql(control_uri, "DELETE FROM workspace")
    assert (await reconciler.run_due()).done == 2
    assert (await found(store, agents.id)).observed is Observed.PAUSED
    assert (await found(store, unmade)).observed is Observed.DELETED


async def test_what_neon_deleted_comes_back_within_seven_days_with_its_user(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase
) -> None:
    removal = await lifecycle.delete_user(ADA)
    assert (removal.waiting, len(removal.recoverable), neon.projects()) == (0, 2, [])
    (shared,) = [each.database_id for each in removal.recoverable if each.database_id != agents.id]
    with pytest.raises(Missing) as missing:
        await lifecycle.undelete(agents.id)
    assert missing.value.code == "user_not_found"
    for database_id in (shared, agents.id):
        receipt = await lifecycle.undelete(database_id)
        assert (receipt.pending, receipt.database.observed) == (None, Observed.ACTIVE)
    assert await holds_its_data(store, agents.id)
    rows = await store.list_databases(None)
    assert {project.name for project in neon.projects()} == {f"agentdb-{row.kind}-{row.id}" for row in rows}


async def test_what_is_gone_for_good_or_has_a_successor_is_not_brought_back(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase, admin_uri: ConnectionUri
) -> None:
    await lifecycle.delete_workspace(RESEARCH, ADA)
    successor = (await lifecycle.create_workspace(RESEARCH, ADA)).database
    with pytest.raises(Denied) as denied:
        await lifecycle.undelete(agents.id)
    assert denied.value.code == "forbidden"
    await lifecycle.delete_workspace(RESEARCH, ADA)
    neon.clock.advance(days=8)
    for lost in (agents.id, successor.id, DatabaseId("never")):
        with pytest.raises(Missing):
            await lifecycle.undelete(lost)
    assert await store.workspace_owner(RESEARCH) is None
    local = ServerProvider(admin_uri, name="local")
    service = LifecycleService(store, Reconciler(store, {"local": local}), provider="local")
    dropped = (await service.create_workspace(RESEARCH, ADA)).database
    assert (await service.delete_workspace(RESEARCH, ADA)).recoverable == ()
    with pytest.raises(Missing, match="for good"):
        await service.undelete(dropped.id)


async def test_a_protected_database_refuses_to_be_deleted_and_outlives_its_row(
    *,
    neon: Neon,
    store: Store,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    assert (await lifecycle.protect(agents.id)).protected
    for refused in (lifecycle.delete_workspace(RESEARCH, ADA), lifecycle.delete_user(ADA)):
        with pytest.raises(Denied) as denied:
            await refused
        assert (denied.value.code, agents.id in denied.value.message) == ("database_protected", True)
    assert await store.user_exists(ADA)
    await run_sql(control_uri, "DELETE FROM workspace")
    await reconciler.run_due()
    kept = await found(store, agents.id)
    assert (kept.kept, kept.protected, kept.observed) == (True, True, Observed.PAUSED)
    providers = {"neon": neon.provider}
    ailments = await Doctor(store, providers, Sweeper(store, providers)).examine()
    assert [each.code for each in ailments if agents.id in each.subject] == ["protected"]
    await lifecycle.unprotect(agents.id)
    assert (await reconciler.run_due()).done == 1
    assert (await found(store, agents.id)).observed is Observed.DELETED
    with pytest.raises(Missing):
        await lifecycle.protect(DatabaseId("never"))


async def test_the_last_figures_are_kept_before_the_project_is_deleted(
    neon: Neon, lifecycle: LifecycleService, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    neon.clock.advance(hours=2)
    await lifecycle.delete_workspace(RESEARCH, ADA)
    async with connected(control_uri) as control:
        usage = json.loads(await control.fetchval("SELECT final_usage FROM database_tombstone"))
        assert await control.fetchval("SELECT last_consumption_sync IS NOT NULL FROM database_tombstone")
    assert (usage["lag_seconds"], usage["as_of"]) == (3600, neon.clock().isoformat())
    assert usage["stored_bytes"] > 1_000_000
    assert usage["consumption"]["compute_time_seconds"] >= 75
    assert usage["consumption"]["period_start"] == "2026-03-01T00:00:00+00:00"


async def test_figures_that_cannot_be_had_hold_a_delete_up_for_so_many_tries(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    path = f"/projects/{agents.project_id}$"
    neon.fake.faults.add(Fault.UNAVAILABLE, method="GET", path=path, times=1000)
    assert (await lifecycle.delete_workspace(RESEARCH, ADA)).waiting == 1
    assert len(neon.projects()) == 2
    await run_sql(control_uri, f"UPDATE database_tombstone SET attempts = {USAGE_ATTEMPTS}")
    assert (await lifecycle.delete_workspace(RESEARCH, ADA)).waiting == 0
    assert len(neon.projects()) == 1
    async with connected(control_uri) as control:
        usage = json.loads(await control.fetchval("SELECT final_usage FROM database_tombstone"))
    assert usage == {"missing": "provider_unavailable"}


async def test_a_tombstone_is_forgotten_long_after_its_database_is_gone_and_never_before(
    store: Store,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    old = "UPDATE database_tombstone SET updated_at = now() - interval '91 days'"
    await store.set_delete_grace(24)
    await lifecycle.delete_workspace(RESEARCH, ADA)
    await run_sql(control_uri, old)
    assert await reconciler.graves.purge() == 0
    await run_sql(control_uri, GRACE_IS_OVER)
    await reconciler.run_due()
    assert await reconciler.graves.purge() == 0
    await run_sql(control_uri, old)
    assert await reconciler.graves.purge() == 1
    assert await store.find_by_id(agents.id) is None
