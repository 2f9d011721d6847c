"""Users and workspaces: twice, or twice at once, is once; and a host's own tables are its own."""

import asyncio

import pytest

from agentdb_mcp.core.databases import Desired, Kind, Observed
from agentdb_mcp.core.errors import Denied, Invalid, Missing
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Keys, Store
from support.lives import ADA, BEN, RESEARCH, active_agent, active_global, found, make, provisioned
from support.postgres import connected, own_database, run_sql

NOBODY = UserId("nobody")


async def test_registering_makes_the_user_the_budget_and_a_wanted_database(
    store: Store, control_uri: ConnectionUri
) -> None:
    registration = await store.register_user(ADA, plan="pro", provider="local")
    database = registration.database
    assert registration.is_new
    assert (database.kind, database.user_id, database.workspace_id) == (Kind.GLOBAL, ADA, None)
    assert (database.desired, database.observed) == (Desired.ACTIVE, Observed.UNKNOWN)
    assert not database.has_credentials
    assert await store.user_exists(ADA)
    assert await store.plan_of(ADA) == "pro"
    assert await store.find_database(Kind.GLOBAL, ADA, RESEARCH) == database
    async with connected(control_uri) as connection:
        assert await connection.fetch("SELECT user_id, total_cost_cents FROM user_db_budget") == [("ada", 0)]


async def test_registering_twice_finds_the_first_and_keeps_the_plan(store: Store) -> None:
    first = await store.register_user(ADA, plan="team", provider="local")
    second = await store.register_user(ADA, plan=None, provider="server")
    assert second.database == first.database
    assert not second.is_new
    assert await store.plan_of(ADA) == "team"


async def test_registering_many_times_at_once_is_registering_once(store: Store) -> None:
    many = await asyncio.gather(*(store.register_user(ADA, plan="pro", provider="local") for _ in range(8)))
    assert len({registration.database.id for registration in many}) == 1
    assert [registration.is_new for registration in many].count(True) == 1
    assert len(await store.list_databases(ADA)) == 1


async def test_a_plan_can_be_changed_and_the_best_of_several_counts(
    store: Store, control_uri: ConnectionUri
) -> None:
    assert await store.plan_of(ADA) == "free"
    for plan in ("pro", "enterprise"):
        await store.register_user(ADA, plan=plan, provider="local")
        assert await store.plan_of(ADA) == plan
    await run_sql(
        control_uri,
        "INSERT INTO subscription (reference_id, plan) VALUES ('ada', 'free')",
        "INSERT INTO subscription (reference_id, plan, status) VALUES ('ben', 'team', 'canceled')",
    )
    assert await store.plan_of(ADA) == "enterprise"
    assert await store.plan_of(BEN) == "free"


async def test_a_registration_that_failed_leaves_only_a_tombstone(store: Store) -> None:
    registration = await store.register_user(ADA, plan="pro", provider="local")
    await store.withdraw_registration(registration)
    assert not await store.user_exists(ADA)
    assert await store.plan_of(ADA) == "free"
    (tombstone,) = await store.list_databases(ADA)
    assert (tombstone.id, tombstone.desired) == (registration.database.id, Desired.DELETED)
    await store.withdraw_registration(registration)
    again = await store.register_user(ADA, plan=None, provider="local")
    assert again.database.id != registration.database.id


async def test_withdrawing_keeps_a_user_that_was_there_before(store: Store) -> None:
    await store.register_user(ADA, plan=None, provider="local")
    second = await store.register_user(ADA, plan=None, provider="local")
    await store.withdraw_registration(second)
    assert await store.user_exists(ADA)
    assert await store.find_database(Kind.GLOBAL, ADA, RESEARCH) is None


async def test_withdrawing_keeps_a_database_that_was_made(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    await make(store, registration.database.id)
    await store.withdraw_registration(registration)
    assert (await found(store, registration.database.id)).desired is Desired.ACTIVE
    assert await store.user_exists(ADA)


async def test_withdrawing_keeps_a_user_that_has_a_workspace_by_now(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    await store.create_workspace(RESEARCH, ADA, name="", provider="local")
    await store.withdraw_registration(registration)
    assert await store.workspace_owner(RESEARCH) == ADA


async def test_a_workspace_gets_one_database_however_often_it_is_created(store: Store) -> None:
    await store.register_user(ADA, plan=None, provider="local")
    many = await asyncio.gather(
        *(store.create_workspace(RESEARCH, ADA, name="R", provider="local") for _ in range(8))
    )
    assert len(set(many)) == 1
    assert (many[0].kind, many[0].user_id, many[0].workspace_id) == (Kind.AGENT, ADA, RESEARCH)
    assert await store.workspace_owner(RESEARCH) == ADA
    assert await store.find_database(Kind.AGENT, ADA, RESEARCH) == many[0]


async def test_a_workspace_needs_its_user(store: Store) -> None:
    with pytest.raises(Missing) as caught:
        await store.create_workspace(RESEARCH, NOBODY, name="", provider="local")
    assert caught.value.code == "user_not_found"
    assert await store.workspace_owner(RESEARCH) is None


async def test_a_workspace_of_another_user_is_neither_created_nor_deleted(store: Store) -> None:
    database = await active_agent(store)
    await store.register_user(BEN, plan=None, provider="local")
    for attempt in (
        store.create_workspace(RESEARCH, BEN, name="", provider="local"),
        store.delete_workspace(RESEARCH, BEN),
    ):
        with pytest.raises(Denied) as caught:
            await attempt
        assert caught.value.code == "forbidden"
    assert await found(store, database.id) == database


async def test_deleting_a_workspace_leaves_a_tombstone_without_credentials(store: Store) -> None:
    database = await active_agent(store)
    assert await store.delete_workspace(RESEARCH, ADA) == [database.id]
    tombstone = await found(store, database.id)
    assert (tombstone.desired, tombstone.observed) == (Desired.DELETED, Observed.UNKNOWN)
    assert (tombstone.kind, tombstone.user_id, tombstone.workspace_id) == (Kind.AGENT, ADA, RESEARCH)
    assert (tombstone.project_id, tombstone.database_name) == (database.project_id, database.database_name)
    assert not tombstone.has_credentials
    assert await store.workspace_owner(RESEARCH) is None
    assert await store.find_database(Kind.AGENT, ADA, RESEARCH) is None


async def test_deleting_again_names_what_still_waits_and_then_nothing(store: Store) -> None:
    database = await active_agent(store)
    for _ in range(2):
        assert await store.delete_workspace(RESEARCH, ADA) == [database.id]
    claim = await store.claim_one(database.id, seconds=60)
    assert claim is not None
    await store.record_observed(database.id, Observed.DELETED, claim[1])
    assert await store.delete_workspace(RESEARCH, ADA) == []
    assert await store.delete_workspace(WorkspaceId("never"), ADA) == []


async def test_deleting_at_once_is_deleting_once(store: Store) -> None:
    database = await active_agent(store)
    many = await asyncio.gather(*(store.delete_workspace(RESEARCH, ADA) for _ in range(6)))
    assert many == [[database.id]] * 6
    assert [row.id for row in await store.list_databases(ADA) if row.kind is Kind.AGENT] == [database.id]


async def test_a_workspace_made_again_gets_a_new_database(store: Store) -> None:
    first = await active_agent(store)
    await store.delete_workspace(RESEARCH, ADA)
    second = await store.create_workspace(RESEARCH, ADA, name="", provider="local")
    assert second.id != first.id
    assert not second.has_credentials


async def test_deleting_a_user_buries_all_of_its_databases_and_nobody_elses(store: Store) -> None:
    await active_agent(store)
    await active_global(store, BEN)
    waiting = await store.delete_user(ADA)
    assert len(waiting) == 2
    assert {row.desired for row in await store.list_databases(ADA)} == {Desired.DELETED}
    assert {row.desired for row in await store.list_databases(BEN)} == {Desired.ACTIVE}
    assert not await store.user_exists(ADA)
    assert await store.workspace_owner(RESEARCH) is None
    assert await store.delete_user(ADA) == waiting
    assert await store.delete_user(NOBODY) == []


async def test_a_deleted_user_does_not_keep_its_plan(store: Store) -> None:
    await store.register_user(ADA, plan="enterprise", provider="local")
    await store.delete_user(ADA)
    assert await store.plan_of(ADA) == "free"


@pytest.mark.parametrize("statement", ["DELETE FROM workspace", 'DELETE FROM "user"'])
async def test_a_delete_by_the_host_itself_leaves_the_tombstone_too(
    store: Store, control_uri: ConnectionUri, statement: str
) -> None:
    database = await active_agent(store)
    await run_sql(control_uri, statement)
    assert (await found(store, database.id)).desired is Desired.DELETED


async def test_a_database_that_belongs_to_the_user_is_not_buried(
    store: Store, control_uri: ConnectionUri
) -> None:
    database = await active_agent(store)
    await run_sql(control_uri, "UPDATE workspace_database SET ownership_type = 'user'")
    assert await store.delete_workspace(RESEARCH, ADA) == []
    assert await store.find_by_id(database.id) is None


async def test_a_character_that_postgres_cannot_keep_is_a_bad_argument(store: Store) -> None:
    with pytest.raises(Invalid) as caught:
        await store.register_user(UserId("nul\0"), plan=None, provider="local")
    assert caught.value.code == "bad_argument"


async def test_ids_are_data_whatever_they_hold(store: Store) -> None:
    odd = UserId('\'; DROP TABLE "user" --\\ %s $1 \N{SNOWMAN}')
    database = (await store.register_user(odd, plan=None, provider="local")).database
    assert (await found(store, database.id)).user_id == odd
    await make(store, database.id, provisioned())
    assert len(await store.open_credentials(database.id)) == 2


class TestTablesOfAHost:
    """A control plane in the host's own database, where users and workspaces have more columns."""

    @pytest.fixture
    def control_uri(self, admin_uri: ConnectionUri):
        with own_database(admin_uri) as uri:
            yield uri

    @pytest.fixture
    async def store(self, control_uri: ConnectionUri, keys: Keys):
        await run_sql(
            control_uri,
            'CREATE TABLE "user" (id text PRIMARY KEY, email text NOT NULL)',
            'CREATE TABLE workspace (id text PRIMARY KEY, name text NOT NULL, owner_id text NOT NULL REFERENCES "user",'
            "settings text NOT NULL)",
            "CREATE TABLE subscription (id text PRIMARY KEY, plan text, reference_id text, status text)",
            "INSERT INTO \"user\" VALUES ('ada', 'ada@example.org')",
            "INSERT INTO workspace VALUES ('research', 'R', 'ada', '{}')",
            "INSERT INTO subscription VALUES ('s1', 'team', 'ada', 'active')",
        )
        opened = await Store.open(control_uri, keys)
        await opened.migrate()
        yield opened
        await opened.close()

    async def test_its_rows_are_used_and_not_touched(self, store: Store, control_uri: ConnectionUri) -> None:
        registration = await store.register_user(ADA, plan=None, provider="local")
        assert not registration.is_new
        assert await store.plan_of(ADA) == "team"
        database = await store.create_workspace(RESEARCH, ADA, name="other", provider="local")
        assert database.workspace_id == RESEARCH
        async with connected(control_uri) as connection:
            assert await connection.fetch("SELECT * FROM workspace") == [("research", "R", "ada", "{}")]

    async def test_a_row_only_the_host_can_make_is_asked_for(self, store: Store) -> None:
        for attempt in (
            store.register_user(BEN, plan=None, provider="local"),
            store.create_workspace(WorkspaceId("new"), ADA, name="", provider="local"),
        ):
            with pytest.raises(Missing) as caught:
                await attempt
            assert "in its own table first" in caught.value.hint

    async def test_a_failed_registration_leaves_the_hosts_user(self, store: Store) -> None:
        await store.withdraw_registration(await store.register_user(ADA, plan=None, provider="local"))
        assert await store.user_exists(ADA)

    async def test_a_user_the_host_still_refers_to_stays(
        self, store: Store, control_uri: ConnectionUri
    ) -> None:
        await run_sql(control_uri, 'CREATE TABLE invoice (user_id text REFERENCES "user")')
        await run_sql(control_uri, "INSERT INTO invoice VALUES ('ada')")
        database = (await store.register_user(ADA, plan=None, provider="local")).database
        with pytest.raises(Denied) as caught:
            await store.delete_user(ADA)
        assert caught.value.code == "forbidden"
        assert (await found(store, database.id)).desired is Desired.ACTIVE
        assert await store.workspace_owner(RESEARCH) == ADA
