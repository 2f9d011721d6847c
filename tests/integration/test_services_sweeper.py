"""Orphans both ways, at Neon's stand-in and on a server: found, told, set right, and never guessed at."""

import pytest

from agentdb_mcp.core.databases import DatabaseSpec, ManagedDatabase, Observed
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.account import ORG_ID
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Plight, Sweep, Sweeper
from agentdb_mcp.store import Store
from support.lives import found
from support.neon import Neon, neon_spec
from support.postgres import connected, run_sql
from support.servers import fresh_spec, plain_administrator

ADA, RESEARCH = UserId("ada"), WorkspaceId("research")


@pytest.fixture
def sweeper(store: Store, neon: Neon) -> Sweeper:
    return Sweeper(store, {"neon": neon.provider})


@pytest.fixture
async def shared(lifecycle: LifecycleService) -> ManagedDatabase:
    """A user's database, made."""
    return (await lifecycle.register_user(ADA)).database


def plights(swept: Sweep) -> list[tuple[str, Plight]]:
    assert swept.unjudged == ()
    return [(each.project_id, each.plight) for each in swept.findings]


async def test_where_everything_has_its_partner_nothing_is_found(
    neon: Neon, sweeper: Sweeper, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    await lifecycle.create_workspace(RESEARCH, ADA)
    await lifecycle.pause(shared.id)
    neon.sent()
    assert plights(await sweeper.sweep(dry_run=False)) == []
    assert neon.sent() == [("GET", "/projects")]


async def test_a_project_no_row_speaks_of_is_deleted_and_not_in_a_dry_run(
    neon: Neon, sweeper: Sweeper, shared: ManagedDatabase
) -> None:
    made = await neon.provider.create(neon_spec())
    for dry_run in (True, False):
        assert len(neon.projects()) == 2
        swept = await sweeper.sweep(dry_run=dry_run, patient=False)
        assert plights(swept) == [(made.project_id, Plight.NOBODYS)]
    assert [each.id for each in neon.projects()] == [shared.project_id]
    assert plights(await sweeper.sweep(dry_run=False)) == []


async def test_what_a_restored_backup_does_not_know_is_reported_for_a_day_before_it_is_deleted(
    neon: Neon, sweeper: Sweeper, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    """As after a restore of the control plane: a younger database has no row."""
    made = await neon.provider.create(neon_spec())
    for _ in range(2):
        (finding,) = (await sweeper.sweep(dry_run=False)).findings
        assert (finding.project_id, finding.plight) == (made.project_id, Plight.NOBODYS)
        assert finding.spared_until is not None
        assert len(neon.projects()) == 2
    await run_sql(control_uri, "UPDATE orphan_sighting SET first_seen_at = now() - interval '25 hours'")
    (finding,) = (await sweeper.sweep(dry_run=False)).findings
    assert finding.spared_until is None
    assert [each.id for each in neon.projects()] == [shared.project_id]
    await sweeper.sweep(dry_run=False)
    async with connected(control_uri) as control:
        assert await control.fetchval("SELECT count(*) FROM orphan_sighting") == 0


async def test_the_second_project_of_a_database_is_deleted_and_the_recorded_one_kept(
    neon: Neon, sweeper: Sweeper, shared: ManagedDatabase
) -> None:
    double = await neon.api.create_project({"name": f"agentdb-global-{shared.id}"})
    assert plights(await sweeper.sweep(dry_run=False)) == [(double.project.id, Plight.DOUBLE)]
    assert [each.id for each in neon.projects()] == [shared.project_id]


async def test_a_project_that_outlived_its_delete_is_deleted_by_the_next_pass(
    neon: Neon, sweeper: Sweeper, reconciler: Reconciler, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    agents = (await lifecycle.create_workspace(RESEARCH, ADA)).database
    await lifecycle.delete_workspace(RESEARCH, ADA)
    late = await neon.api.create_project({"name": f"agentdb-agent-{agents.id}"})
    assert plights(await sweeper.sweep(dry_run=False)) == [(late.project.id, Plight.UNDEAD)]
    assert (await reconciler.run_due()).done == 1
    assert [each.id for each in neon.projects()] == [shared.project_id]


async def test_a_row_whose_project_is_gone_is_made_whole_by_the_next_pass(
    neon: Neon, sweeper: Sweeper, reconciler: Reconciler, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    await lifecycle.create_workspace(RESEARCH, ADA)  # so that something of ours is there
    await neon.api.delete_project(shared.project_id or "")
    swept = plights(await sweeper.sweep(dry_run=False))
    assert swept == [(shared.project_id, Plight.MISSING)]
    assert (await reconciler.run_due()).done == 1
    assert shared.project_id in {each.id for each in neon.projects()}
    assert plights(await sweeper.sweep(dry_run=False)) == []


async def test_nothing_is_done_on_a_listing_that_is_not_complete(
    neon: Neon, store: Store, sweeper: Sweeper, shared: ManagedDatabase
) -> None:
    await neon.provider.create(neon_spec())
    neon.fake.account.unavailable = {shared.project_id or ""}
    swept = await sweeper.sweep(dry_run=False)
    assert (swept.findings, len(swept.unjudged)) == ((), 1)
    assert len(neon.projects()) == 2
    assert (await found(store, shared.id)).observed is Observed.ACTIVE


async def test_an_empty_control_plane_deletes_nobodys_projects(neon: Neon, sweeper: Sweeper) -> None:
    await neon.provider.create(neon_spec())
    swept = await sweeper.sweep(dry_run=False)
    assert "is it the right one?" in swept.unjudged[0]
    assert len(neon.projects()) == 1


async def test_a_small_installation_deletes_nothing_of_a_larger_one_beside_it(
    neon: Neon, sweeper: Sweeper, shared: ManagedDatabase
) -> None:
    for _ in range(2):
        await neon.provider.create(neon_spec())
    swept = await sweeper.sweep(dry_run=False, patient=False)
    assert swept.findings == ()
    assert "knows 1 of the 3" in swept.unjudged[0]
    assert len(neon.projects()) == 3


async def test_a_key_that_shows_nothing_proves_nothing(
    neon: Neon, store: Store, shared: ManagedDatabase
) -> None:
    neon.projects()[0].org_id = "org-other"
    async with neon.another(org_id=ORG_ID) as theirs:
        swept = await Sweeper(store, {"neon": theirs}).sweep(dry_run=False)
    assert "is it the right key?" in swept.unjudged[0]
    assert (await found(store, shared.id)).observed is Observed.ACTIVE


async def test_projects_of_others_and_users_own_are_left_alone(
    neon: Neon,
    sweeper: Sweeper,
    lifecycle: LifecycleService,
    shared: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    await lifecycle.create_workspace(RESEARCH, ADA)
    await run_sql(
        control_uri,
        "UPDATE workspace_database SET ownership_type = 'user', neon_project_id = 'elsewhere-1'",
    )
    for name in ("theirs", "agentdb-staging-agent", f"other-agent-{shared.id}"):
        await neon.api.create_project({"name": name})
    assert plights(await sweeper.sweep(dry_run=False)) == []
    assert len(neon.projects()) == 5


async def test_a_project_renamed_by_a_person_gets_its_name_back(
    neon: Neon, sweeper: Sweeper, reconciler: Reconciler, shared: ManagedDatabase
) -> None:
    """Another is there, or the search would show none that is recorded and judge nothing."""
    await neon.api.create_project({"name": f"agentdb-global-{shared.id}"})
    await neon.api.rename_project(shared.project_id or "", "my shop")
    assert (shared.project_id, Plight.MISSING) in plights(await sweeper.sweep(dry_run=False))
    await reconciler.run_due()
    assert (shared.project_id, Plight.MISSING) not in plights(await sweeper.sweep(dry_run=False))


async def test_a_project_on_record_is_kept_whatever_it_is_named_and_gets_its_name_back(
    neon: Neon, sweeper: Sweeper, reconciler: Reconciler, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    """Our mark, another database's name, the name of one that was deleted: a person wrote it there."""
    gone = (await lifecycle.create_workspace(WorkspaceId("gone"), ADA)).database
    await lifecycle.delete_workspace(WorkspaceId("gone"), ADA)
    other = (await lifecycle.create_workspace(RESEARCH, ADA)).database
    for name in (f"deleted-{shared.id}", f"agent-{other.id}", f"agent-{gone.id}"):
        await neon.api.rename_project(shared.project_id or "", f"agentdb-{name}")
        (finding,) = (await sweeper.sweep(dry_run=False, patient=False)).findings
        assert (finding.plight, finding.database_id) == (Plight.RENAMED, shared.id)
        assert (await reconciler.run_due()).failed == ()
        assert {each.id: each.name for each in neon.projects()} == {
            shared.project_id: f"agentdb-global-{shared.id}",
            other.project_id: f"agentdb-agent-{other.id}",
        }
        assert plights(await sweeper.sweep(dry_run=False)) == []


async def test_what_a_row_of_another_provider_speaks_of_is_left_to_people(
    neon: Neon,
    sweeper: Sweeper,
    lifecycle: LifecycleService,
    shared: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    await lifecycle.create_workspace(RESEARCH, ADA)
    await run_sql(control_uri, "UPDATE user_global_database SET provider = 'elsewhere'")
    assert plights(await sweeper.sweep(dry_run=False, patient=False)) == [(shared.project_id, Plight.STRAY)]
    assert len(neon.projects()) == 2


async def test_a_record_that_names_anothers_project_costs_neither_a_project(
    neon: Neon,
    sweeper: Sweeper,
    lifecycle: LifecycleService,
    shared: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    other = (await lifecycle.create_workspace(RESEARCH, ADA)).database
    await run_sql(control_uri, f"UPDATE workspace_database SET neon_project_id = '{shared.project_id}'")
    assert plights(await sweeper.sweep(dry_run=False, patient=False)) == []
    for each in (other, shared):
        assert (await lifecycle.mend(each.id)).pending == "project_shared"
    assert (await lifecycle.delete_workspace(RESEARCH, ADA)).waiting == 1
    assert {each.id for each in neon.projects()} == {shared.project_id, other.project_id}
    await run_sql(control_uri, "UPDATE database_tombstone SET neon_project_id = NULL")
    assert (await lifecycle.delete_workspace(RESEARCH, ADA)).waiting == 0
    assert (await lifecycle.mend(shared.id)).pending is None
    assert [each.id for each in neon.projects()] == [shared.project_id]


async def test_on_a_server_only_this_installations_databases_are_swept(
    store: Store, admin_uri: ConnectionUri
) -> None:
    ours, theirs = [ServerProvider(await plain_administrator(admin_uri), name="local") for _ in range(2)]
    await LifecycleService(store, Reconciler(store, {"local": ours}), provider="local").register_user(ADA)
    orphan, foreign = fresh_spec(), fresh_spec()
    await ours.create(orphan)
    await theirs.create(foreign)
    sweeper = Sweeper(store, {"local": ours})
    for dry_run in (True, False):
        assert await ours.observe(orphan, None) is Observed.ACTIVE
        swept = plights(await sweeper.sweep(dry_run=dry_run, patient=False))
        assert swept == [(f"d_{orphan.id.replace('-', '')}", Plight.NOBODYS)]
    assert await ours.observe(orphan, None) is Observed.DELETED
    assert await theirs.observe(foreign, None) is Observed.ACTIVE
    assert plights(await sweeper.sweep(dry_run=False)) == []
    await theirs.delete(foreign, None)
    for row in await store.list_databases(ADA):
        await ours.delete(DatabaseSpec(row.id, row.kind), None)


async def test_on_a_server_a_database_dropped_by_hand_is_found(
    store: Store, admin_uri: ConnectionUri
) -> None:
    provider = ServerProvider(await plain_administrator(admin_uri), name="local")
    reconciler = Reconciler(store, {"local": provider})
    lifecycle = LifecycleService(store, reconciler, provider="local")
    dropped = (await lifecycle.register_user(ADA)).database
    await lifecycle.create_workspace(RESEARCH, ADA)
    await run_sql(admin_uri, f"DROP DATABASE {dropped.database_name} WITH (FORCE)")
    swept = plights(await Sweeper(store, {"local": provider}).sweep(dry_run=False))
    assert swept == [(dropped.project_id, Plight.MISSING)]
    assert (await reconciler.run_due()).done == 1
    assert (await found(store, dropped.id)).observed is Observed.ACTIVE
    assert (await lifecycle.delete_user(ADA)).waiting == 0
