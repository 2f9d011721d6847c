"""What every provider on a Postgres server keeps, whatever its version and its administrator's rights."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Kind, Observed, Provisioned
from agentdb_mcp.core.errors import Missing
from agentdb_mcp.providers.roles import Names
from support.postgres import connected, run_sql
from support.servers import NewSpec, Server, lets_in


async def usable(made: Provisioned) -> bool:
    """The writer makes and fills a table; the reader reads it and may not write."""
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute(
            "CREATE TABLE IF NOT EXISTS notes (id bigint PRIMARY KEY); TRUNCATE notes; INSERT INTO notes VALUES (7)"
        )
        await reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute("INSERT INTO notes VALUES (8)")
        return await reader.fetchval("SELECT array_agg(id) FROM notes") == [7]


async def test_a_created_database_is_the_writers_to_fill_and_the_readers_to_read(
    server: Server, new_spec: NewSpec
) -> None:
    made = await server.provider().create(new_spec())
    assert await usable(made)
    assert made.credentials.owner is None
    assert made.project_id == made.database_name


async def test_the_reader_sees_every_later_table_view_sequence_and_schema(
    server: Server, new_spec: NewSpec
) -> None:
    made = await server.provider().create(new_spec())
    await run_sql(
        made.credentials.writer,
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id serial); CREATE VIEW v AS SELECT 1 AS one;"
        " CREATE MATERIALIZED VIEW m AS SELECT 2 AS two; CREATE SEQUENCE s",
    )
    async with connected(made.credentials.reader) as reader:
        for relation in ("sales.orders", "v", "m", "s", "sales.orders_id_seq"):
            await reader.execute(f"SELECT * FROM {relation}")
        assert await reader.fetchval("SELECT has_sequence_privilege('s', 'USAGE, UPDATE')") is False


async def test_no_role_of_a_tenant_has_any_attribute_or_membership(server: Server, new_spec: NewSpec) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    names = Names.of(spec.id)
    async with server.looking() as superuser:
        rows = await superuser.fetch("SELECT * FROM pg_roles WHERE rolname = ANY($1)", list(names.roles))
        members = await superuser.fetchval(
            "SELECT count(*) FROM pg_auth_members WHERE member = ANY($1::regrole[])", list(names.roles)
        )
        owner = await superuser.fetchval(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", names.database
        )
    assert len(rows) == 3
    for row in rows:
        rights = ("rolsuper", "rolcreatedb", "rolcreaterole", "rolreplication", "rolbypassrls")
        assert not any(row[right] for right in rights)
        assert row["rolcanlogin"] is (row["rolname"] != names.owner)
        if row["rolcanlogin"]:
            assert row["rolinherit"] is False
            assert row["rolconnlimit"] == 10
    assert members == 0
    assert owner == names.owner


async def test_the_roles_limits_are_set(server: Server, new_spec: NewSpec) -> None:
    made = await server.provider().create(new_spec())
    for uri, read_only in ((made.credentials.writer, "off"), (made.credentials.reader, "on")):
        async with connected(uri) as tenant:
            shown = {
                name: await tenant.fetchval("SELECT current_setting($1)", name)
                for name in (
                    "statement_timeout",
                    "lock_timeout",
                    "idle_in_transaction_session_timeout",
                    "client_connection_check_interval",
                    "search_path",
                    "default_transaction_read_only",
                    "temp_file_limit",
                )
            }
        assert shown == {
            "statement_timeout": "30s",
            "lock_timeout": "3s",
            "idle_in_transaction_session_timeout": "1min",
            "client_connection_check_interval": "1s",
            "search_path": "public, extensions",
            "default_transaction_read_only": read_only,
            "temp_file_limit": "1GB" if server.hardens else "-1",
        }


async def test_what_a_role_raises_does_not_reach_the_servers_log_where_we_may_say_so(
    server: Server, new_spec: NewSpec
) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolconfig FROM pg_roles WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    said = ["log_min_messages=fatal" in row["rolconfig"] for row in rows]
    assert said == [server.hardens] * 2


@pytest.mark.parametrize(("kind", "limit"), [(Kind.AGENT, 10), (Kind.GLOBAL, 100)])
async def test_the_sessions_of_a_role_are_limited_by_how_many_agents_share_its_database(
    server: Server, new_spec: NewSpec, kind: Kind, limit: int
) -> None:
    spec = replace(new_spec(), kind=kind)
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    assert [row["rolconnlimit"] for row in rows] == [limit] * 2


async def test_creating_again_brings_an_older_builds_roles_up_to_this_ones(
    server: Server, new_spec: NewSpec
) -> None:
    spec = replace(new_spec(), kind=Kind.GLOBAL)
    await server.provider().create(spec)
    roles = "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = ANY($1) ORDER BY rolname"
    logins = Names.of(spec.id).logins
    async with server.looking() as superuser:
        made = await superuser.fetch(roles, list(logins))
        for role in logins:
            await superuser.execute(f"ALTER ROLE {role} CONNECTION LIMIT 10")
            await superuser.execute(f"ALTER ROLE {role} RESET ALL")
        await server.provider().create(spec)
        assert await superuser.fetch(roles, list(logins)) == made


async def test_only_ten_sessions_of_a_role_fit(server: Server, new_spec: NewSpec) -> None:
    made = await server.provider().create(new_spec())
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(asyncpg.connect(made.credentials.reader.reveal())) for _ in range(10)]
    assert not await lets_in(made.credentials.reader)
    for task in held:
        await task.result().close()


async def test_passwords_reach_the_server_as_verifiers_only(server: Server, new_spec: NewSpec) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolpassword FROM pg_authid WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    assert [row["rolpassword"].partition("$")[0] for row in rows] == ["SCRAM-SHA-256"] * 2


async def test_creating_again_keeps_the_data_and_renews_the_passwords(
    server: Server, new_spec: NewSpec
) -> None:
    spec = new_spec()
    first = await server.provider().create(spec)
    await run_sql(first.credentials.writer, "CREATE TABLE kept AS SELECT 42 AS answer")
    second = await server.provider().create(spec)
    assert (first.project_id, first.database_name) == (second.project_id, second.database_name)
    assert not await lets_in(first.credentials.writer)
    assert not await lets_in(first.credentials.reader)
    async with connected(second.credentials.reader) as reader:
        assert await reader.fetchval("SELECT answer FROM kept") == 42


async def test_creating_the_same_database_twice_at_once_is_creating_it_once(
    server: Server, new_spec: NewSpec
) -> None:
    spec = new_spec()
    made = await asyncio.gather(*(server.provider().create(spec) for _ in range(3)))
    working = [each for each in made if await lets_in(each.credentials.writer)]
    assert len(working) == 1
    assert await usable(working[0])
    assert await server.objects_left(Names.of(spec.id)) == 4


async def test_different_databases_are_made_at_once(server: Server, new_spec: NewSpec) -> None:
    provider = server.provider()
    made = await asyncio.gather(*(provider.create(new_spec()) for _ in range(4)))
    assert len({each.database_name for each in made}) == 4
    assert all([await usable(each) for each in made])


async def test_creating_mends_what_a_tenant_did_to_its_own_roles(server: Server, new_spec: NewSpec) -> None:
    spec = new_spec()
    made = await server.provider().create(spec)
    await run_sql(
        made.credentials.writer,
        "ALTER ROLE CURRENT_USER PASSWORD 'known'",
        "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
        "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on",
        "ALTER ROLE CURRENT_USER SET search_path = evil",
        f"ALTER ROLE CURRENT_USER IN DATABASE {made.database_name} SET lock_timeout = 0",
    )
    assert not await lets_in(made.credentials.writer)
    made = await server.provider().create(spec)
    assert await usable(made)
    async with connected(made.credentials.writer) as writer:
        assert await writer.fetchval("SHOW statement_timeout") == "30s"
        assert await writer.fetchval("SHOW search_path") == "public, extensions"
        assert await writer.fetchval("SHOW lock_timeout") == "3s"


async def test_a_pause_ends_sessions_and_refuses_new_ones_until_it_is_undone(
    server: Server, new_spec: NewSpec
) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await provider.pause(spec, made.project_id)
        for tenant in (writer, reader):
            with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
                await tenant.fetchval("SELECT 1")
    assert not await lets_in(made.credentials.writer)
    assert not await lets_in(made.credentials.reader)
    assert await provider.observe(spec, made.project_id) is Observed.PAUSED

    await provider.pause(spec, made.project_id)
    await provider.resume(spec, made.project_id)
    await provider.resume(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    async with connected(made.credentials.reader) as reader:
        assert await reader.fetchval("SELECT answer FROM kept") == 42


async def test_a_delete_removes_everything_whoever_is_connected(server: Server, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute("CREATE TABLE t (i int); BEGIN; INSERT INTO t VALUES (1)")
        await reader.fetchval("SELECT 1")
        await provider.delete(spec, made.project_id)
    assert await server.objects_left(Names.of(spec.id)) == 0
    assert await provider.observe(spec, made.project_id) is Observed.DELETED


async def test_deleting_a_paused_database_and_deleting_twice_succeed(
    server: Server, new_spec: NewSpec
) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await provider.pause(spec, made.project_id)
    await asyncio.gather(*(provider.delete(spec, made.project_id) for _ in range(2)))
    await provider.delete(spec, made.project_id)
    assert await server.objects_left(Names.of(spec.id)) == 0


async def test_deleting_what_never_was_succeeds(server: Server, new_spec: NewSpec) -> None:
    await server.provider().delete(new_spec(), None)
    assert await server.provider().observe(new_spec(), None) is Observed.DELETED


async def test_a_deleted_database_can_be_made_anew_and_is_empty(server: Server, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await run_sql(made.credentials.writer, "CREATE TABLE gone (i int)")
    await provider.delete(spec, made.project_id)
    made = await provider.create(spec)
    async with connected(made.credentials.reader) as reader:
        assert await reader.fetchval("SELECT to_regclass('gone')") is None


async def test_pausing_or_resuming_what_is_not_there_says_so(server: Server, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    for act in (provider.pause, provider.resume):
        with pytest.raises(Missing) as refused:
            await act(spec, Names.of(spec.id).database)
        assert refused.value.code == "database_not_found"


async def test_neighbours_are_not_touched(server: Server, new_spec: NewSpec) -> None:
    provider = server.provider()
    kept, other = await provider.create(new_spec()), new_spec()
    made = await provider.create(other)
    async with connected(kept.credentials.writer) as neighbour:
        await provider.pause(other, made.project_id)
        await provider.delete(other, made.project_id)
        assert await neighbour.fetchval("SELECT 1") == 1


async def test_the_administrator_keeps_no_membership_it_only_borrowed(
    server: Server, new_spec: NewSpec
) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await provider.pause(spec, made.project_id)
    names = Names.of(spec.id)
    async with server.looking() as superuser:
        usable_memberships = await superuser.fetchval(
            "SELECT count(*) FROM unnest($1::name[]) AS role WHERE pg_has_role($2, role, 'USAGE')"
            " OR pg_has_role($2, role, 'MEMBER') AND current_setting('server_version_num')::int < 160000",
            list(names.roles),
            dsn.arguments(server.admin.reveal())["user"],
        )
    assert usable_memberships == (3 if server.hardens else 0)
