"""The life of a database, as every provider must lead it."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from agentdb_mcp.core.databases import DatabaseSpec, Observed, Provisioned
from agentdb_mcp.core.errors import Missing
from support.houses import House
from support.postgres import connected, run_sql
from support.servers import lets_in
from support.waiting import until


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


async def open_to(made: Provisioned) -> list[bool]:
    """Whether the writer and the reader get in."""
    return [await lets_in(uri) for uri in (made.credentials.writer, made.credentials.reader)]


async def keep_something(made: Provisioned) -> None:
    await run_sql(made.credentials.writer, "CREATE TABLE kept AS SELECT 42 AS answer")


async def kept(made: Provisioned) -> int | None:
    async with connected(made.credentials.reader) as reader:
        there = await reader.fetchval("SELECT to_regclass('kept')")
        return await reader.fetchval("SELECT answer FROM kept") if there else None


async def ended(*sessions: asyncpg.Connection) -> None:
    """Return when the server has ended them. Raises TimeoutError when it does not."""
    for session in sessions:
        await until(lambda session=session: asyncio.sleep(0, session.is_closed()))


async def test_a_made_database_is_the_writers_to_fill_and_the_readers_to_read(house: House) -> None:
    made = await house.provider.create(house.new_spec())
    assert await usable(made)


async def test_the_reader_sees_every_later_table_view_sequence_and_schema(house: House) -> None:
    made = await house.provider.create(house.new_spec())
    await run_sql(
        made.credentials.writer,
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id serial); CREATE VIEW v AS SELECT 1 AS one;"
        " CREATE MATERIALIZED VIEW m AS SELECT 2 AS two; CREATE SEQUENCE s",
    )
    async with connected(made.credentials.reader) as reader:
        for relation in ("sales.orders", "v", "m", "s", "sales.orders_id_seq"):
            await reader.execute(f"SELECT * FROM {relation}")
        assert await reader.fetchval("SELECT has_sequence_privilege('s', 'USAGE, UPDATE')") is False


async def test_the_roles_limits_are_set(house: House) -> None:
    made = await house.provider.create(house.new_spec())
    for uri, read_only in ((made.credentials.writer, "off"), (made.credentials.reader, "on")):
        wanted = {
            "statement_timeout": "30s",
            "lock_timeout": "3s",
            "idle_in_transaction_session_timeout": "1min",
            "client_connection_check_interval": "1s",
            "search_path": "public, extensions",
            "default_transaction_read_only": read_only,
            "temp_file_limit": "1GB" if house.hardens else "-1",
        }
        async with connected(uri) as role:
            assert {
                name: await role.fetchval("SELECT current_setting($1)", name) for name in wanted
            } == wanted


async def test_creating_again_keeps_the_data_and_renews_the_passwords(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    first = await provider.create(spec)
    await keep_something(first)
    second = await provider.create(replace(spec, project_id=first.project_id))
    assert (first.project_id, first.database_name) == (second.project_id, second.database_name)
    assert await open_to(first) == [False, False]
    assert await kept(second) == 42


async def test_creating_mends_what_a_tenant_did_to_its_own_role(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    async with connected(made.credentials.writer) as writer:
        database = await writer.fetchval("SELECT quote_ident(current_database())")
        for change in (
            "SET statement_timeout = 0",
            "SET default_transaction_read_only = on",
            "SET search_path = evil",
            f"IN DATABASE {database} SET lock_timeout = 0",
            "PASSWORD 'known'",
        ):
            await writer.execute(f"ALTER ROLE CURRENT_USER {change}")
    assert not await lets_in(made.credentials.writer)
    made = await provider.create(spec)
    assert await usable(made)
    async with connected(made.credentials.writer) as writer:
        assert await writer.fetchval("SHOW statement_timeout") == "30s"
        assert await writer.fetchval("SHOW search_path") == "public, extensions"
        assert await writer.fetchval("SHOW lock_timeout") == "3s"


async def test_making_one_database_several_times_at_once_makes_it_once(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await asyncio.gather(*(provider.create(spec) for _ in range(3)))
    working = [each for each in made if await lets_in(each.credentials.writer)]
    assert len(working) == 1
    assert await usable(working[0])
    assert await house.instances(spec) == 1


async def test_different_databases_are_made_at_once(house: House) -> None:
    provider = house.provider
    made = await asyncio.gather(*(provider.create(house.new_spec()) for _ in range(4)))
    assert len({each.project_id for each in made}) == 4
    assert all([await usable(each) for each in made])


async def test_a_pause_ends_sessions_and_refuses_new_ones_until_it_is_undone(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await keep_something(made)
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await provider.pause(spec, made.project_id)
        await house.settle()
        await ended(writer, reader)
    for _ in range(2):
        assert await open_to(made) == [False, False]
        assert await provider.observe(spec, made.project_id) is Observed.PAUSED
        await provider.pause(spec, made.project_id)
    for _ in range(2):
        await provider.resume(spec, made.project_id)
        assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    assert await kept(made) == 42
    assert await usable(made)


async def test_creating_what_is_paused_opens_it_with_its_data(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await keep_something(made)
    await provider.pause(spec, made.project_id)
    again = await provider.create(replace(spec, project_id=made.project_id))
    assert await provider.observe(spec, again.project_id) is Observed.ACTIVE
    assert await kept(again) == 42
    assert await open_to(made) == [False, False]


async def test_a_change_of_plan_leaves_open_what_is_open_and_paused_what_is_paused(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await provider.tune(replace(spec, plan="team"), made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    assert await usable(made)
    await provider.pause(spec, made.project_id)
    for plan in ("enterprise", "a plan of next year"):
        await provider.tune(replace(spec, plan=plan), made.project_id)
        assert await provider.observe(spec, made.project_id) is Observed.PAUSED
    assert await open_to(made) == [False, False]


async def test_a_delete_removes_everything_whoever_is_connected(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute("CREATE TABLE t (i int); BEGIN; INSERT INTO t VALUES (1)")
        await provider.delete(spec, made.project_id)
        await house.settle()
        await ended(writer, reader)
    assert await open_to(made) == [False, False]
    assert await left(house, spec) == (0, 0)
    assert await provider.observe(spec, made.project_id) is Observed.DELETED


async def test_deleting_a_paused_database_and_deleting_twice_succeed(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await provider.pause(spec, made.project_id)
    await asyncio.gather(*(provider.delete(spec, made.project_id) for _ in range(2)))
    await provider.delete(spec, made.project_id)
    assert await left(house, spec) == (0, 0)


async def test_what_an_interrupted_making_left_is_deleted_without_its_handle(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    await provider.create(spec)
    await provider.delete(spec, None)
    assert await left(house, spec) == (0, 0)


async def test_deleting_what_never_was_succeeds(house: House) -> None:
    spec = house.new_spec()
    await house.provider.delete(spec, None)
    await house.provider.delete(spec, house.handle_of(spec))
    assert await house.provider.observe(spec, None) is Observed.DELETED


async def test_a_deleted_database_can_be_made_anew_and_is_empty(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await keep_something(made)
    await provider.delete(spec, made.project_id)
    anew = await provider.create(spec)
    assert await kept(anew) is None
    assert await usable(anew)


async def test_pausing_or_resuming_what_is_not_there_says_so(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    for act in (provider.pause, provider.resume):
        with pytest.raises(Missing) as refused:
            await act(spec, house.handle_of(spec))
        assert refused.value.code == "database_not_found"


async def test_neighbours_are_not_touched(house: House) -> None:
    provider, spec = house.provider, house.new_spec()
    neighbour = await provider.create(house.new_spec())
    made = await provider.create(spec)
    async with connected(neighbour.credentials.writer) as session:
        await provider.pause(spec, made.project_id)
        await provider.delete(spec, made.project_id)
        assert await session.fetchval("SELECT 1") == 1
    assert await usable(neighbour)


async def left(house: House, spec: DatabaseSpec) -> tuple[int, int]:
    """Databases and roles that are still there."""
    return await house.instances(spec), await house.roles_left(spec)
