"""What the reconciler does when databases or their provider do not behave; Neon's stand-in plays the provider."""

import asyncio
import socket

import pytest

from agentdb_mcp.core.databases import Desired, ManagedDatabase, Observed
from agentdb_mcp.core.errors import Invalid, Missing, Unavailable
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.services import lifecycle as lifecycle_module
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store
from support.lives import found
from support.neon import Neon
from support.postgres import connected, run_sql
from support.servers import lets_in

ADA, RESEARCH = UserId("ada"), WorkspaceId("research")
DUE = "UPDATE managed_database SET next_attempt_at = now()"


@pytest.fixture
async def agents(lifecycle: LifecycleService) -> ManagedDatabase:
    """A workspace's database, made."""
    await lifecycle.register_user(ADA)
    return (await lifecycle.create_workspace(RESEARCH, ADA)).database


async def delete_by_hand(neon: Neon, database: ManagedDatabase) -> None:
    """As somebody does in Neon's console."""
    assert database.project_id is not None
    await neon.api.delete_project(database.project_id)


async def test_a_provider_that_does_not_finish_fails_the_step_before_its_lease_ends(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = ConnectionUri(f"postgresql://a:b@127.0.0.1:{silent.getsockname()[1]}/c?sslmode=disable")
        providers = {"local": ServerProvider(admin, name="local")}
        with pytest.raises(Unavailable, match="did not finish in time"):
            await Reconciler(store, providers, step_seconds=0.1).settle(registration.database.id)
    row = await found(store, registration.database.id)
    assert (row.attempts, row.last_error) == (1, "provider_unavailable")
    assert await store.claim_one(row.id, seconds=1) is not None, "its lease was given back"


async def test_databases_that_cannot_be_made_do_not_hold_up_the_others(
    store: Store, reconciler: Reconciler, lifecycle: LifecycleService
) -> None:
    for number in range(5):
        await store.register_user(UserId(f"stuck-{number}"), plan=None, provider="elsewhere")
    wanted = await store.register_user(ADA, plan=None, provider="neon")
    outcome = await reconciler.run_due()
    assert (outcome.done, len(outcome.failed)) == (1, 5)
    assert (await found(store, wanted.database.id)).observed is Observed.ACTIVE


async def test_an_operators_pass_waits_for_no_next_try_and_tells_what_others_hold(
    store: Store, reconciler: Reconciler, control_uri: ConnectionUri
) -> None:
    held = await store.register_user(UserId("held"), plan=None, provider="neon")
    mended = await store.register_user(ADA, plan=None, provider="elsewhere")
    for _ in range(3):
        await reconciler.run_now()
    assert (await found(store, mended.database.id)).attempts == 3, "it was tried each time"
    await run_sql(
        control_uri, "UPDATE user_global_database SET provider = 'neon', observed_state = 'unknown'"
    )
    assert await store.claim_one(held.database.id, seconds=60) is not None
    assert (await reconciler.run_due()).done == 0, "a worker's pass waits"
    outcome = await reconciler.run_now()
    assert (outcome.done, outcome.failed, outcome.under_way) == (1, (), 1)


async def test_a_lease_or_a_wait_without_end_holds_nobody_up(
    store: Store, reconciler: Reconciler, control_uri: ConnectionUri
) -> None:
    """Edited by hand, or left by a clock that was set back."""
    await store.register_user(ADA, plan=None, provider="neon")
    await run_sql(
        control_uri,
        "UPDATE managed_database SET lease_token = 'x', lease_expires_at = now() + interval '1 year', "
        "next_attempt_at = now() + interval '1 year'",
    )
    assert (await reconciler.run_due()).done == 1


async def test_what_failed_before_comes_after_what_did_not(store: Store, control_uri: ConnectionUri) -> None:
    first = await store.register_user(UserId("failing"), plan=None, provider="neon")
    second = await store.register_user(ADA, plan=None, provider="neon")
    claim = await store.claim_one(first.database.id, seconds=60)
    assert claim is not None
    await store.record_failure(first.database.id, "provider_unavailable", claim[1])
    await run_sql(
        control_uri, "UPDATE managed_database SET next_attempt_at = now() - interval '1 hour' * attempts"
    )
    claims = [(await store.claim_due(limit=1, seconds=60))[0][0].id for _ in range(2)]
    assert claims == [second.database.id, first.database.id]


@pytest.mark.parametrize("desired", [Desired.PAUSED, Desired.ACTIVE])
async def test_a_project_deleted_by_hand_is_brought_back_with_its_data(
    neon: Neon,
    store: Store,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    desired: Desired,
) -> None:
    writer, _ = await store.open_credentials(agents.id)
    await run_sql(writer, "CREATE TABLE kept AS SELECT 7 AS answer")
    if desired is Desired.ACTIVE:
        await lifecycle.pause(agents.id)
    await delete_by_hand(neon, agents)
    receipt = await (lifecycle.pause if desired is Desired.PAUSED else lifecycle.resume)(agents.id)
    assert (receipt.pending, receipt.database.observed) == (None, Observed(desired))
    receipt = await lifecycle.resume(agents.id)
    writer, _ = await store.open_credentials(agents.id)
    async with connected(writer) as connection:
        assert await connection.fetchval("SELECT answer FROM kept") == 7


@pytest.mark.parametrize("desired", [Desired.PAUSED, Desired.ACTIVE])
async def test_a_project_that_is_nowhere_stays_unknown_and_is_seen_to_be(
    neon: Neon,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
    desired: Desired,
) -> None:
    await run_sql(
        control_uri,
        "UPDATE workspace_database SET neon_project_id = 'of-another-1', observed_state = 'unknown'",
    )
    receipt = await (lifecycle.pause if desired is Desired.PAUSED else lifecycle.resume)(agents.id)
    assert receipt.pending == "database_not_found"
    assert (receipt.database.observed, receipt.database.last_error) == (
        Observed.UNKNOWN,
        "database_not_found",
    )
    assert len(neon.projects()) == 2, "nothing is made in its place"


async def test_a_look_finds_what_was_deleted_by_hand_and_a_pass_mends_it(
    neon: Neon, store: Store, reconciler: Reconciler, agents: ManagedDatabase
) -> None:
    assert await reconciler.look(limit=10, unseen_seconds=3600) == 0, "nothing is long unseen"
    assert await reconciler.look(limit=10, unseen_seconds=0) == 0
    await delete_by_hand(neon, agents)
    assert await reconciler.look(limit=2, unseen_seconds=0) == 1
    assert (await found(store, agents.id)).observed is Observed.DELETED
    assert (await reconciler.run_due()).done == 1
    writer, _ = await store.open_credentials(agents.id)
    assert await lets_in(writer)


async def test_looking_is_limited_and_goes_around(
    neon: Neon, reconciler: Reconciler, agents: ManagedDatabase
) -> None:
    neon.sent()
    for _ in range(2):
        await reconciler.look(limit=1, unseen_seconds=0)
    asked = [path for _, path in neon.sent("GET") if path.count("/") == 2]
    assert len(set(asked)) == len(asked) == 2


async def test_a_look_that_fails_changes_nothing(
    neon: Neon, store: Store, reconciler: Reconciler, agents: ManagedDatabase
) -> None:
    neon.fake.faults.add(Fault.UNAVAILABLE, times=1000)
    neon.sent()
    assert await reconciler.look(limit=9, unseen_seconds=0) == 0
    assert len({path for _, path in neon.sent()}) == 1, "one look is enough to see that Neon is away"
    assert (await found(store, agents.id)).observed is Observed.ACTIVE
    assert (await reconciler.run_due()).done == 0


async def test_a_users_own_database_is_never_touched(
    neon: Neon,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    await run_sql(control_uri, "UPDATE workspace_database SET ownership_type = 'user'")
    neon.sent()
    paused = await lifecycle.pause(agents.id)
    assert (paused.pending, paused.database.desired) == (None, Desired.PAUSED)
    await run_sql(control_uri, DUE, "UPDATE workspace_database SET observed_state = 'unknown'")
    assert (await reconciler.run_due()).done == 0
    assert (await lifecycle.delete_workspace(RESEARCH, ADA)).waiting == 0
    assert neon.sent() == []
    assert agents.project_id in {project.id for project in neon.projects()}


async def test_registering_a_user_again_while_neon_is_away_takes_nothing_back(
    neon: Neon, store: Store, reconciler: Reconciler, lifecycle: LifecycleService, control_uri: ConnectionUri
) -> None:
    shared = (await lifecycle.register_user(ADA)).database
    writer, _ = await store.open_credentials(shared.id)
    await run_sql(writer, "CREATE TABLE kept AS SELECT 7 AS answer")
    neon.fake.faults.add(Fault.UNAVAILABLE, times=1000)
    assert (await lifecycle.mend(shared.id)).pending is not None
    with pytest.raises(Unavailable):
        await lifecycle.register_user(ADA)
    neon.fake.faults.rules.clear()
    await run_sql(control_uri, DUE)
    assert (await reconciler.run_due()).done == 1
    writer, _ = await store.open_credentials(shared.id)
    async with connected(writer) as connection:
        assert await connection.fetchval("SELECT answer FROM kept") == 7


async def test_a_change_of_plan_fits_every_database_of_the_user_to_it(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase
) -> None:
    await lifecycle.pause(agents.id)
    for _ in range(2):
        assert await lifecycle.change_plan(ADA, "team") == 0
    assert await store.plan_of(ADA) == "team"
    team = NEON_PROJECT_DEFAULTS["team"]
    sizes = {
        project.id: {endpoint.max_cu for endpoint in project.endpoints.values()}
        for project in neon.projects()
    }
    assert sizes.pop(agents.project_id or "") == {NEON_PROJECT_DEFAULTS["free"].size.max_cu}
    assert list(sizes.values()) == [{team.size.max_cu}]
    await lifecycle.resume(agents.id)
    assert {each.history_retention_seconds for each in neon.projects()} == {team.history_retention_seconds}


async def test_a_change_of_plan_that_neon_does_not_hear_of_is_carried_out_later(
    neon: Neon,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    control_uri: ConnectionUri,
) -> None:
    neon.fake.faults.add(Fault.ERROR, method="PATCH", times=2)
    assert await lifecycle.change_plan(ADA, "pro") == 2
    await run_sql(control_uri, DUE)
    assert (await reconciler.run_due()).done == 2
    pro = NEON_PROJECT_DEFAULTS["pro"].size.max_cu
    assert {each.max_cu for project in neon.projects() for each in project.endpoints.values()} == {pro}


async def test_a_call_about_many_databases_ends_in_time_and_leaves_the_rest_to_workers(
    neon: Neon,
    reconciler: Reconciler,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle_module, "CARRY_OUT_SECONDS", 0)
    assert (await lifecycle.delete_user(ADA)).waiting == 2
    assert len(neon.projects()) == 2
    assert (await reconciler.run_due()).done == 2
    assert neon.projects() == []


async def test_a_plan_is_changed_to_one_there_is_for_a_user_there_is(lifecycle: LifecycleService) -> None:
    with pytest.raises(Invalid):
        await lifecycle.change_plan(ADA, "platinum")
    with pytest.raises(Missing):
        await lifecycle.change_plan(ADA, "pro")


async def test_two_reconcilers_at_once_do_everything_once(
    neon: Neon, store: Store, reconciler: Reconciler
) -> None:
    for number in range(6):
        await store.register_user(UserId(f"user-{number}"), plan=None, provider="neon")
    async with neon.another() as other:
        outcomes = await asyncio.gather(reconciler.run_due(), Reconciler(store, {"neon": other}).run_due())
    assert sum(outcome.done for outcome in outcomes) == 6
    assert len(neon.projects()) == len({project.name for project in neon.projects()}) == 6
