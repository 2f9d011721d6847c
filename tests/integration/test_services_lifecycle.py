"""What hosts ask for, on a real control plane and a real provider: loud, withdrawn, pending, finished, once."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from agentdb_mcp.core.databases import DatabaseSpec, Desired, Observed, Provisioned
from agentdb_mcp.core.errors import Denied, Invalid, Misconfigured, Missing, Unavailable
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.services import leasing, reconciler
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store
from support.postgres import connected, run_sql
from support.waiting import until

ADA, BEN, RESEARCH = UserId("ada"), UserId("ben"), WorkspaceId("research")
NOWHERE = ConnectionUri("postgresql://admin:hunter2@127.0.0.1:9/postgres?sslmode=disable")


def lifecycle(store: Store, admin: ConnectionUri) -> LifecycleService:
    return LifecycleService(
        store, Reconciler(store, {"local": ServerProvider(admin, name="local")}), provider="local"
    )


@pytest.fixture
async def working(store: Store, admin_uri: ConnectionUri) -> AsyncIterator[LifecycleService]:
    service = lifecycle(store, admin_uri)
    yield service
    for user in (ADA, BEN):
        await service.delete_user(user)


@pytest.fixture
def broken(store: Store) -> LifecycleService:
    """The provider's server does not answer."""
    return lifecycle(store, NOWHERE)


async def exists(admin_uri: ConnectionUri, database: str) -> bool:
    async with connected(admin_uri) as connection:
        return await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database
        )


async def test_registration_makes_the_shared_database_and_the_budget_row(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri
) -> None:
    receipt = await working.register_user(ADA, plan="pro")
    assert (receipt.database.desired, receipt.database.observed) == (Desired.ACTIVE, Observed.ACTIVE)
    assert await exists(admin_uri, receipt.database.database_name)
    assert await store.plan_of(ADA) == "pro"
    async with connected(control_uri) as control:
        assert await control.fetchval("SELECT count(*) FROM user_db_budget WHERE user_id = 'ada'") == 1


async def test_a_registration_that_cannot_be_finished_fails_and_is_withdrawn(
    broken: LifecycleService, store: Store, control_uri: ConnectionUri
) -> None:
    with pytest.raises(Unavailable) as failed:
        await broken.register_user(ADA)
    assert failed.value.code in {"provider_unavailable", "database_unavailable"}
    assert "hunter2" not in str(failed.value)
    assert not await store.user_exists(ADA)
    async with connected(control_uri) as control:
        assert await control.fetchval("SELECT count(*) FROM user_db_budget") == 0


async def test_what_a_withdrawn_registration_had_begun_is_deleted_by_the_reconciler(
    broken: LifecycleService, working: LifecycleService, store: Store
) -> None:
    with pytest.raises(Unavailable):
        await broken.register_user(ADA)
    (tombstone,) = await store.list_databases(ADA)
    assert tombstone.desired is Desired.DELETED
    registered = await working.register_user(ADA)
    assert registered.database.id != tombstone.id


async def test_registering_again_does_not_withdraw_a_finished_registration(
    working: LifecycleService, broken: LifecycleService
) -> None:
    first = await working.register_user(ADA)
    again = await broken.register_user(ADA)
    assert again.database.id == first.database.id


async def test_a_workspace_stays_pending_and_is_finished_later(
    working: LifecycleService, broken: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    await working.register_user(ADA)
    receipt = await broken.create_workspace(RESEARCH, ADA)
    assert receipt.pending in {"provider_unavailable", "database_unavailable"}
    assert not receipt.database.has_credentials
    assert receipt.database.last_error == receipt.pending
    finished = await working.create_workspace(RESEARCH, ADA)
    assert (finished.pending, finished.database.id) == (None, receipt.database.id)
    assert await exists(admin_uri, finished.database.database_name)


async def test_a_pending_workspace_is_finished_by_a_reconcile_once_it_is_due(
    working: LifecycleService,
    broken: LifecycleService,
    store: Store,
    admin_uri: ConnectionUri,
    control_uri: ConnectionUri,
) -> None:
    await working.register_user(ADA)
    receipt = await broken.create_workspace(RESEARCH, ADA)
    reconciler = Reconciler(store, {"local": ServerProvider(admin_uri, name="local")})
    assert (await reconciler.run_due()).done == 0, "a failure is not tried again at once"
    async with connected(control_uri) as control:
        await control.execute("UPDATE managed_database SET next_attempt_at = now()")
    assert (await reconciler.run_due()).done == 1
    (finished,) = [row for row in await store.list_databases(ADA) if row.id == receipt.database.id]
    assert finished.observed is Observed.ACTIVE


async def test_eight_creations_at_once_make_one_database(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    await working.register_user(ADA)
    others = [lifecycle(store, admin_uri) for _ in range(8)]
    receipts = await asyncio.gather(*(each.create_workspace(RESEARCH, ADA) for each in others))
    assert len({receipt.database.id for receipt in receipts}) == 1
    assert {receipt.pending for receipt in receipts} == {None}
    assert len(await store.list_databases(ADA)) == 2


async def test_deleting_while_creating_leaves_nothing(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    await working.register_user(ADA)
    other = lifecycle(store, admin_uri)
    await asyncio.gather(
        working.create_workspace(RESEARCH, ADA), other.delete_workspace(RESEARCH, ADA), return_exceptions=True
    )
    await working.delete_workspace(RESEARCH, ADA)
    agents = [row for row in await store.list_databases(ADA) if row.workspace_id == RESEARCH]
    assert {row.observed for row in agents} <= {Observed.DELETED}
    for row in agents:
        assert not await exists(admin_uri, row.database_name)


async def test_a_delete_that_the_provider_cannot_carry_out_is_kept_and_counted(
    working: LifecycleService, broken: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    await working.register_user(ADA)
    made = (await working.create_workspace(RESEARCH, ADA)).database
    assert (await broken.delete_workspace(RESEARCH, ADA)).waiting == 1
    assert await exists(admin_uri, made.database_name)
    assert (await working.delete_workspace(RESEARCH, ADA)).waiting == 0
    assert not await exists(admin_uri, made.database_name)


async def test_a_host_that_deletes_rows_itself_leaves_tombstones_that_are_carried_out(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri
) -> None:
    await working.register_user(ADA)
    made = (await working.create_workspace(RESEARCH, ADA)).database
    async with connected(control_uri) as control:
        await control.execute("""DELETE FROM "user" WHERE id = 'ada'""")
    outcome = await Reconciler(store, {"local": ServerProvider(admin_uri, name="local")}).run_due()
    assert (outcome.done, outcome.failed) == (2, ())
    assert not await exists(admin_uri, made.database_name)


async def test_pausing_closes_the_roles_and_resuming_opens_them(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    made = (await working.register_user(ADA)).database
    writer, _ = await store.open_credentials(made.id)
    paused = await working.pause(made.id)
    assert paused.database.observed is Observed.PAUSED
    with pytest.raises(Exception, match="not permitted to log in"):
        async with connected(writer):
            pass
    resumed = await working.resume(made.id)
    assert resumed.database.observed is Observed.ACTIVE
    async with connected(writer) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_database_that_vanished_is_made_anew(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri
) -> None:
    made = (await working.register_user(ADA)).database
    provider = ServerProvider(admin_uri, name="local")
    await provider.delete(DatabaseSpec(made.id, made.kind), made.project_id)
    async with connected(control_uri) as control:
        await control.execute("UPDATE managed_database SET observed_state = 'unknown'")
    again = await working.register_user(ADA)
    assert again.database.id == made.id
    writer, _ = await store.open_credentials(made.id)
    async with connected(writer) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_reconcile_that_is_interrupted_gives_its_lease_back(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    silent = socket.create_server(("127.0.0.1", 0))
    silent.setblocking(False)
    port = silent.getsockname()[1]
    admin = ConnectionUri(f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable")
    reconciler = Reconciler(store, {"local": ServerProvider(admin, name="local")})
    settling = asyncio.create_task(reconciler.settle(registration.database.id))
    at_the_provider, _ = await asyncio.get_running_loop().sock_accept(silent)
    assert await store.claim_one(registration.database.id, seconds=1) is None
    settling.cancel()
    await asyncio.wait([settling])
    at_the_provider.close()
    silent.close()
    assert settling.cancelled()
    assert await store.claim_one(registration.database.id, seconds=1) is not None


async def test_a_provider_this_process_does_not_know_is_named(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="elsewhere")
    with pytest.raises(Misconfigured, match="elsewhere"):
        await Reconciler(store, {}).settle(registration.database.id)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\0b"])
async def test_ids_that_are_no_ids_are_refused(broken: LifecycleService, name: str) -> None:
    with pytest.raises(Invalid):
        await broken.register_user(UserId(name))
    with pytest.raises(Invalid):
        await broken.create_workspace(WorkspaceId(name), ADA)


async def test_what_does_not_exist_is_missing(working: LifecycleService) -> None:
    with pytest.raises(Missing):
        await working.create_workspace(RESEARCH, UserId("nobody"))
    with pytest.raises(Missing):
        await working.pause(DatabaseId(secrets.token_hex(4)))
    assert (await working.delete_workspace(WorkspaceId("never"), ADA)).waiting == 0
    assert (await working.delete_user(UserId("never"))).waiting == 0


async def test_another_users_workspace_is_forbidden(working: LifecycleService) -> None:
    for user in (ADA, BEN):
        await working.register_user(user)
    await working.create_workspace(RESEARCH, ADA)
    for forbidden in (working.create_workspace(RESEARCH, BEN), working.delete_workspace(RESEARCH, BEN)):
        with pytest.raises(Denied):
            await forbidden


class Delayed(ServerProvider):
    """The real provider, held up before it tells what it made."""

    def __init__(self, admin: ConnectionUri) -> None:
        super().__init__(admin, name="local")
        self.made = asyncio.Event()
        self.go_on = asyncio.Event()

    async def create(self, spec: DatabaseSpec) -> Provisioned:
        await self.go_on.wait()
        made = await super().create(spec)
        self.made.set()
        return made


async def test_credentials_that_a_late_worker_spoiled_are_made_anew(
    store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri
) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    late = Delayed(admin_uri)
    sleeping = asyncio.create_task(Reconciler(store, {"local": late}).settle(registration.database.id))
    async with connected(control_uri) as control:
        await until(lambda: control.fetchval("SELECT lease_token FROM managed_database"))
        await control.execute("UPDATE managed_database SET lease_expires_at = now() - interval '1 s'")
    awake = lifecycle(store, admin_uri)
    await awake.register_user(ADA)
    late.go_on.set()
    await late.made.wait()
    await sleeping
    settled = await awake.register_user(ADA)
    writer, _ = await store.open_credentials(settled.database.id)
    async with connected(writer) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await awake.delete_user(ADA)


async def test_a_worker_that_is_at_it_keeps_its_lease(
    store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (reconciler, leasing):
        monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(leasing, "RENEW_SECONDS", 0.05)
    registration = await store.register_user(ADA, plan=None, provider="local")
    slow = Delayed(admin_uri)
    working = asyncio.create_task(Reconciler(store, {"local": slow}).settle(registration.database.id))
    async with connected(control_uri) as control:
        await until(lambda: control.fetchval("SELECT lease_expires_at > now() FROM managed_database"))
        taken = await control.fetchval("SELECT lease_expires_at FROM managed_database")
        await until(
            lambda: control.fetchval(
                "SELECT lease_expires_at > $1 FROM managed_database", taken + timedelta(seconds=2)
            )
        )
    assert await store.claim_one(registration.database.id, seconds=1) is None
    slow.go_on.set()
    assert (await working).database is not None
    await lifecycle(store, admin_uri).delete_user(ADA)


async def test_mending_makes_new_credentials_and_keeps_the_data(
    working: LifecycleService, store: Store
) -> None:
    made = (await working.register_user(ADA)).database
    writer, reader = await store.open_credentials(made.id)
    async with connected(writer) as connection:
        await connection.execute("CREATE TABLE kept (a int)")
    mended = await working.mend(made.id)
    assert mended.database.observed is Observed.ACTIVE
    new_writer, new_reader = await store.open_credentials(made.id)
    assert {writer, reader}.isdisjoint({new_writer, new_reader})
    async with connected(new_writer) as connection:
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    with pytest.raises(Missing):
        await working.mend(DatabaseId("nowhere"))


async def test_a_pause_mends_a_database_that_a_person_took_a_role_from(
    working: LifecycleService, store: Store, admin_uri: ConnectionUri
) -> None:
    database = (await working.register_user(ADA)).database
    names = Names.of(database.id)
    inside = ConnectionUri(admin_uri.reveal().replace("/postgres?", f"/{names.database}?"))
    await run_sql(inside, f"DROP OWNED BY {names.reader}", f"DROP ROLE {names.reader}")
    await working.pause(database.id)
    paused = await store.find_by_id(database.id)
    assert paused is not None
    assert (paused.observed, paused.last_error) == (Observed.PAUSED, None)
    await working.resume(database.id)
    async with connected((await store.open_credentials(database.id))[1]) as reader:
        assert await reader.fetchval("SELECT 1") == 1
