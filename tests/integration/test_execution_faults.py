"""Statements that run too long, callers that leave, servers that die: a clear error, nothing left running."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()

SWALLOWS_CANCELS = """DO $$
DECLARE stop timestamptz := clock_timestamp() + interval '60 s';
BEGIN
    WHILE clock_timestamp() < stop LOOP
        BEGIN
            PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN
            RAISE NOTICE 'no';
        END;
    END LOOP;
END$$"""


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture
async def admin(admin_uri: ConnectionUri) -> AsyncIterator[Any]:
    async with connected(admin_uri) as connection:
        yield connection


async def busy(admin: Any, mark: str) -> int:
    """How many backends are running a statement with this mark."""
    return await admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%'"
        " AND pid <> pg_backend_pid()",
        mark,
    )


async def becomes_idle(admin: Any, mark: str) -> None:
    async def idle() -> bool:
        return await busy(admin, mark) == 0

    await until(idle)


async def becomes_busy(admin: Any, mark: str) -> None:
    async def runs() -> bool:
        return await busy(admin, mark) > 0

    await until(runs)


async def sees(runner: Runner, target: Target, sql: str) -> Any:
    return (await runner.run(target, approved(sql), [], CAPS)).rows[0][0]


async def test_a_statement_is_stopped_at_its_deadline(runner: Runner, target: Target, admin: Any) -> None:
    assert await sees(runner, target, "SELECT 'connected'") == "connected"
    with pytest.raises(Unavailable) as caught:
        await runner.run(target, approved("SELECT pg_sleep(60) /* deadline */"), [], Caps(seconds=0.2))
    assert caught.value.code == "query_timeout"
    assert "0.2 s" in caught.value.message
    await becomes_idle(admin, "/* deadline */")
    assert await sees(runner, target, "SELECT 'next'") == "next"


async def test_the_deadline_holds_while_the_server_parses(runner: Runner, target: Target, admin: Any) -> None:
    await admin.execute("SELECT 1")
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        assert await sees(runner, far, "SELECT 1") == 1
        line.hold = True
        with pytest.raises(Unavailable) as caught:
            await runner.run(far, approved("SELECT 2"), [], Caps(seconds=0.2))
        assert caught.value.code == "query_timeout"


async def test_the_databases_own_time_limit_is_a_timeout_too(
    runner: Runner, target: Target, admin: Any
) -> None:
    reader = await sees(runner, target, "SELECT current_user")
    await admin.execute(f"ALTER ROLE {reader} SET statement_timeout = '100ms'")
    fresh = Pools(PoolLimits())
    try:
        with pytest.raises(Unavailable) as caught:
            await Runner(fresh).run(target, approved("SELECT pg_sleep(60)"), [], CAPS)
    finally:
        await fresh.close()
        await admin.execute(f"ALTER ROLE {reader} SET statement_timeout = '30s'")
    assert caught.value.code == "query_timeout"
    assert "database's own" in caught.value.message


@pytest.mark.parametrize("looks_after_clients", ["1s", "0"])
async def test_a_statement_that_swallows_cancels_loses_its_socket_and_its_backend(
    target: Target, admin: Any, looks_after_clients: str
) -> None:
    writer = dsn.arguments(target.writer.reveal())["user"]
    await admin.execute(f"ALTER ROLE {writer} SET client_connection_check_interval = '{looks_after_clients}'")
    pools = Pools(PoolLimits())
    try:
        with pytest.raises(Unavailable) as caught:
            await Runner(pools).run(target, ddl(SWALLOWS_CANCELS), [], Caps(seconds=0.2))
        assert caught.value.code == "query_timeout"
        await becomes_idle(admin, "interval '60 s'")
        assert (await Runner(pools).run(target, write("SELECT 1"), [], CAPS)).rows == ((1,),)
    finally:
        await pools.close()
        await admin.execute(f"ALTER ROLE {writer} SET client_connection_check_interval = '1s'")


async def test_a_caller_that_leaves_stops_its_statement(runner: Runner, target: Target, admin: Any) -> None:
    call = asyncio.create_task(runner.run(target, approved("SELECT pg_sleep(60) /* left */"), [], CAPS))
    await becomes_busy(admin, "/* left */")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await becomes_idle(admin, "/* left */")
    assert await sees(runner, target, "SELECT 'next'") == "next"


async def test_callers_that_leave_in_a_row_leave_the_pool_whole(
    runner: Runner, target: Target, admin: Any
) -> None:
    for _ in range(3):
        calls = [
            asyncio.create_task(runner.run(target, approved("SELECT pg_sleep(60) /* crowd */"), [], CAPS))
            for _ in range(8)
        ]
        await becomes_busy(admin, "/* crowd */")
        for call in calls:
            call.cancel()
        assert all(
            isinstance(result, asyncio.CancelledError)
            for result in await asyncio.gather(*calls, return_exceptions=True)
        )
    await becomes_idle(admin, "/* crowd */")
    found = await asyncio.gather(*[sees(runner, target, "SELECT 1") for _ in range(8)])
    assert found == [1] * 8


@pytest.mark.parametrize("cancelled_after", range(8))
async def test_a_caller_may_leave_at_any_moment(runner: Runner, target: Target, cancelled_after: int) -> None:
    call = asyncio.create_task(
        runner.run(target, write(f"SELECT count(*) /* {cancelled_after} */ FROM pg_class"), [], CAPS)
    )
    for _ in range(cancelled_after):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await runner.run(target, write("SELECT 1"), [], CAPS)).rows == ((1,),)


async def test_a_backend_that_is_terminated_in_mid_call_is_an_unavailable_database(
    runner: Runner, target: Target, admin: Any
) -> None:
    call = asyncio.create_task(runner.run(target, approved("SELECT pg_sleep(60) /* shot */"), [], CAPS))
    await becomes_busy(admin, "/* shot */")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%/* shot */%' AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Unavailable) as caught:
        await call
    assert caught.value.code == "database_unavailable"
    assert "not known" not in caught.value.message
    assert await sees(runner, target, "SELECT 'next'") == "next"


async def test_a_write_whose_answer_is_lost_says_that_it_is_in_doubt(
    runner: Runner, target: Target, admin: Any
) -> None:
    call = asyncio.create_task(runner.run(target, write("SELECT pg_sleep(60) /* doubt */"), [], CAPS))
    await becomes_busy(admin, "/* doubt */")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%/* doubt */%' AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Unavailable) as caught:
        await call
    assert caught.value.code == "database_unavailable"
    assert "whether it took effect is not known" in caught.value.message


@pytest.mark.parametrize("make", [approved, write])
async def test_an_idle_session_that_died_is_replaced_unnoticed(
    runner: Runner, target: Target, admin: Any, make: Any
) -> None:
    sql = make("SELECT pg_backend_pid()")
    ((first,),) = (await runner.run(target, sql, [], CAPS)).rows
    await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", first)
    ((second,),) = (await runner.run(target, sql, [], CAPS)).rows
    assert first != second


async def test_a_read_is_repeated_when_the_line_was_dead(runner: Runner, target: Target) -> None:
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        await sees(runner, far, "SELECT 1")
        line.cut_at = "B"
        assert await sees(runner, far, "SELECT 1") == 1
        assert line.connections == 2


async def test_a_read_is_repeated_once_and_no_more(runner: Runner, target: Target) -> None:
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        await sees(runner, far, "SELECT 1")
        line.cut_at, line.cuts = "B", 2
        with pytest.raises(Unavailable) as caught:
            await sees(runner, far, "SELECT 1")
        assert caught.value.code == "database_unavailable"
        assert line.connections == 2
        assert await sees(runner, far, "SELECT 1") == 1


async def test_losing_sessions_costs_the_pool_no_places(runner: Runner, target: Target) -> None:
    async with watched(target.writer) as (line, port):
        far = replace(target, writer=through(target.writer, port))
        line.cut_at, line.cuts = "B", 6
        for _ in range(6):
            with pytest.raises(Unavailable):
                await runner.run(far, write("SELECT 1"), [], Caps(seconds=5))
        held = [
            asyncio.create_task(runner.run(far, write("SELECT pg_sleep(0.2)"), [], CAPS)) for _ in range(4)
        ]
        await asyncio.gather(*held)
        assert line.connections == 10


async def test_a_write_is_not_repeated_once_it_was_sent(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE once (a int)"), [], CAPS)
    async with watched(target.writer) as (line, port):
        far = replace(target, writer=through(target.writer, port))
        await runner.run(far, write("INSERT INTO once VALUES (1)"), [], CAPS)
        line.cut_at = "B"
        with pytest.raises(Unavailable) as caught:
            await runner.run(far, write("INSERT INTO once VALUES (1)"), [], CAPS)
        assert "not known" in caught.value.message


async def test_a_write_is_repeated_when_only_its_parsing_was_lost(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE parsed (a int)"), [], CAPS)
    async with watched(target.writer) as (line, port):
        far = replace(target, writer=through(target.writer, port))
        await runner.run(far, write("INSERT INTO parsed VALUES (1)"), [], CAPS)
        line.cut_at = "P"
        assert (await runner.run(far, write("INSERT INTO parsed VALUES (2)"), [], CAPS)).affected == 1
    assert await sees(runner, target, "SELECT sum(a) FROM parsed") == 3


async def test_a_statement_that_was_only_prepared_leaves_no_lock_behind(
    runner: Runner, target: Target, admin: Any
) -> None:
    await runner.run(target, ddl("CREATE TABLE unlocked (a int)"), [], CAPS)
    backend = await sees(runner, target, "SELECT pg_backend_pid()")
    with pytest.raises(Invalid):
        await runner.run(target, approved("SELECT * FROM unlocked WHERE a = $1"), [], CAPS)

    async def let_go() -> bool:
        return not await admin.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1", backend)

    await until(let_go)
    assert await sees(runner, target, "SELECT pg_backend_pid()") == backend


async def test_an_error_of_the_agents_own_leaves_the_session_in_use(runner: Runner, target: Target) -> None:
    first = await sees(runner, target, "SELECT pg_backend_pid()")
    with pytest.raises(SqlFailed):
        await sees(runner, target, "SELECT 1/0")
    assert await sees(runner, target, "SELECT pg_backend_pid()") == first
