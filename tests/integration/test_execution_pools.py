"""Connections are opened when needed, few, of one role each, closed when idle, and silent about where they go."""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.guard import GRAMMAR_MAJOR
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected
from support.statements import approved, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()


@pytest.fixture
async def admin(admin_uri: ConnectionUri) -> AsyncIterator[Any]:
    async with connected(admin_uri) as connection:
        yield connection


async def sees(pools: Pools, target: Target, sql: str) -> Any:
    return (await Runner(pools).run(target, approved(sql), [], CAPS)).rows[0][0]


async def connections(admin: Any, target: Target) -> int:
    database = dsn.arguments(target.reader.reveal())["database"]
    return await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database)


async def gone(admin: Any, target: Target) -> bool:
    return await connections(admin, target) == 0


async def test_nothing_is_opened_before_it_is_needed(pools: Pools, target: Target, admin: Any) -> None:
    pools.pool(target, "reader")
    assert await connections(admin, target) == 0


async def test_a_server_newer_than_the_guards_grammar_is_noticed(
    pools: Pools, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="agentdb_mcp.execution"):
        major = int(await sees(pools, target, "SELECT current_setting('server_version_num')::int / 10000"))
    noticed = [line for line in caplog.messages if "newer syntax is refused" in line]
    assert len(noticed) == (1 if major > GRAMMAR_MAJOR else 0)


async def test_an_idle_connection_is_closed_so_that_the_server_can_sleep(target: Target, admin: Any) -> None:
    pools = Pools(PoolLimits(idle_seconds=0.1))
    assert await sees(pools, target, "SELECT 1") == 1
    assert await connections(admin, target) == 1
    await until(lambda: gone(admin, target))
    assert await sees(pools, target, "SELECT 2") == 2
    await pools.close()


async def test_a_connection_in_use_is_not_idle(target: Target) -> None:
    pools = Pools(PoolLimits(idle_seconds=0.05))
    first = await sees(pools, target, "SELECT pg_backend_pid()")
    assert await sees(pools, target, "SELECT pg_backend_pid() FROM pg_sleep(0.2)") == first
    await pools.close()


async def test_the_last_used_connection_is_used_first(pools: Pools, target: Target) -> None:
    await asyncio.gather(*[sees(pools, target, "SELECT pg_sleep(0.05)") for _ in range(3)])
    backends = {await sees(pools, target, "SELECT pg_backend_pid()") for _ in range(5)}
    assert len(backends) == 1


async def test_closing_one_database_leaves_its_roles_without_connections(
    pools: Pools, target: Target, admin: Any
) -> None:
    await Runner(pools).run(target, write("SELECT 1"), [], CAPS)
    await sees(pools, target, "SELECT 1")
    assert await connections(admin, target) == 2
    await pools.close_database(target.database_id)
    await until(lambda: gone(admin, target))
    assert await sees(pools, target, "SELECT 'again'") == "again"


async def test_closing_ends_a_statement_that_is_still_running(
    pools: Pools, target: Target, admin: Any
) -> None:
    call = asyncio.create_task(sees(pools, target, "SELECT pg_sleep(60)"))

    async def running() -> bool:
        return await admin.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep')",
            dsn.arguments(target.reader.reveal())["database"],
        )

    await until(running)
    await pools.close()
    with pytest.raises(Unavailable) as caught:
        await call
    assert caught.value.code == "database_unavailable"
    await until(lambda: gone(admin, target))


async def test_whoever_waits_in_line_when_the_pool_closes_is_told(target: Target) -> None:
    pools = Pools(PoolLimits(size=1))
    pool = pools.pool(target, "reader")
    session = await pool.take()
    waiting = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    closing = asyncio.create_task(pools.close())
    await asyncio.sleep(0)
    pool.give(session, tidy=False)
    with pytest.raises(Unavailable):
        await waiting
    await closing


async def test_new_credentials_get_new_connections_and_the_old_ones_close(
    pools: Pools, target: Target, admin: Any
) -> None:
    old = await sees(pools, target, "SELECT pg_backend_pid()")
    reader = dsn.arguments(target.reader.reveal())
    await admin.execute(f"ALTER ROLE {reader['user']} PASSWORD 'another'")
    changed = ConnectionUri(target.reader.reveal().replace(str(reader["password"]), "another"))
    try:
        new = await sees(pools, replace(target, reader=changed), "SELECT pg_backend_pid()")
        assert new != old

        async def closed() -> bool:
            return await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", old) == 0

        await until(closed)
    finally:
        await admin.execute(f"ALTER ROLE {reader['user']} PASSWORD '{reader['password']}'")


async def test_a_statement_that_runs_while_credentials_change_may_finish(
    pools: Pools, target: Target, admin: Any
) -> None:
    call = asyncio.create_task(sees(pools, target, "SELECT 'done' FROM pg_sleep(0.3) /* finishing */"))

    async def runs() -> bool:
        return await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%finishing%' AND pid <> pg_backend_pid()"
        )

    await until(runs)
    same = replace(target, reader=ConnectionUri(target.reader.reveal() + "&application_name=other"))
    assert await sees(pools, same, "SELECT 1") == 1
    assert await call == "done"


async def test_a_statement_that_finds_no_free_connection_in_time_says_so(target: Target) -> None:
    pools = Pools(PoolLimits(size=1))
    pool = pools.pool(target, "reader")
    session = await pool.take()
    with pytest.raises(Unavailable) as caught:
        await Runner(pools).run(target, approved("SELECT 1"), [], Caps(seconds=0.1))
    assert caught.value.code == "database_unavailable"
    assert "became free" in caught.value.message
    pool.give(session, tidy=False)
    assert await sees(pools, target, "SELECT 1") == 1
    await pools.close()


def unreachable(uri: ConnectionUri) -> dict[str, str]:
    parts = dsn.arguments(uri.reveal())
    base = f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{parts['port']}/{parts['database']}"
    return {
        "wrong password": base.replace(str(parts["password"]), "hunter2-canary"),
        "no such database": base.replace(str(parts["database"]), "nowhere_canary"),
        "no such role": base.replace(str(parts["user"]), "nobody_canary"),
        "nobody listens": base.replace(f":{parts['port']}/", ":1/"),
        "no TLS there": base + "?sslmode=require",
        "no such host": base.replace("127.0.0.1", "canary.invalid"),
        "no URI": "canary",
    }


@pytest.mark.parametrize("why", sorted(unreachable(ConnectionUri("postgresql://u:p@h/d"))))
async def test_a_database_that_cannot_be_reached_is_unavailable_without_the_drivers_words(
    pools: Pools, target: Target, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    uri = unreachable(target.reader)[why]
    with caplog.at_level("INFO"), pytest.raises(Unavailable) as caught:
        await sees(pools, replace(target, reader=ConnectionUri(uri)), "SELECT 1")
    assert caught.value.code == "database_unavailable"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    said = f"{caught.value} {caught.value.as_dict()} {caplog.text}"
    for secret in ("canary", *map(str, filter(None, dsn.arguments(target.reader.reveal()).values()))):
        if len(secret) > 5:
            assert secret not in said


async def test_a_server_that_does_not_answer_is_given_up_in_time(target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        pools = Pools(PoolLimits(connect_seconds=0.2))
        silent = replace(target, reader=ConnectionUri(f"postgresql://u:p@127.0.0.1:{port}/d"))
        with pytest.raises(Unavailable) as caught:
            await sees(pools, silent, "SELECT 1")
        await pools.close()
    assert caught.value.code == "database_unavailable"
    assert "0.2 s" in caught.value.message


async def test_a_caller_that_leaves_while_the_server_wakes_up_leaves_the_connection_to_the_next(
    pools: Pools, target: Target
) -> None:
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        line.hold = True
        call = asyncio.create_task(sees(pools, far, "SELECT 1"))

        async def connecting() -> bool:
            return line.connections == 1

        await until(connecting)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        line.release()
        assert await sees(pools, far, "SELECT 1") == 1

        async def adopted() -> bool:
            return len(pools.pool(far, "reader")._idle) == line.connections

        await until(adopted)
        assert line.sent["Startup"] == line.connections


async def test_a_role_that_may_not_log_in_is_an_unavailable_database(
    pools: Pools, target: Target, admin: Any
) -> None:
    reader = dsn.arguments(target.reader.reveal())["user"]
    await admin.execute(f"ALTER ROLE {reader} NOLOGIN")
    try:
        with pytest.raises(Unavailable) as caught:
            await sees(pools, target, "SELECT 1")
        assert caught.value.code == "database_unavailable"
    finally:
        await admin.execute(f"ALTER ROLE {reader} LOGIN")


async def test_a_server_without_a_free_connection_is_waited_for(
    pools: Pools, target: Target, admin: Any
) -> None:
    reader = dsn.arguments(target.reader.reveal())["user"]
    await admin.execute(f"ALTER ROLE {reader} CONNECTION LIMIT 0")
    call = asyncio.create_task(sees(pools, target, "SELECT 1"))
    try:
        done, _ = await asyncio.wait([call], timeout=0.3)
        assert not done
    finally:
        await admin.execute(f"ALTER ROLE {reader} CONNECTION LIMIT 10")
    assert await call == 1


@pytest.mark.parametrize(
    "state", [("57P03", "the database system is starting up"), ("XX000", "couldn't connect to compute node")]
)
async def test_a_server_that_wakes_up_is_waited_for(
    pools: Pools, target: Target, state: tuple[str, str]
) -> None:
    async with watched(target.reader) as (line, port):
        line.refusals = [state, state]
        assert await sees(pools, replace(target, reader=through(target.reader, port)), "SELECT 1") == 1
        assert line.connections == 3


@pytest.mark.parametrize("state", ["XX000", "53000", "53300"])
@pytest.mark.parametrize(
    "words",
    ["Your account has exceeded the compute time quota. Upgrade.", "The endpoint is disabled. canary"],
)
async def test_a_spent_quota_is_not_waited_for_and_is_told_from_other_failures(
    pools: Pools, target: Target, state: str, words: str
) -> None:
    async with watched(target.reader) as (line, port):
        line.refusals = [(state, words)]
        with pytest.raises(Unavailable) as caught:
            await sees(pools, replace(target, reader=through(target.reader, port)), "SELECT 1")
        assert line.connections == 1
    assert caught.value.code == "database_unavailable"
    assert "quota is used up" in caught.value.message
    assert "canary" not in str(caught.value)


async def test_two_databases_never_share_a_connection(pools: Pools, target: Target) -> None:
    other = replace(target, database_id="another")  # pyright: ignore[reportArgumentType]
    assert pools.pool(target, "reader") is pools.pool(target, "reader")
    assert pools.pool(target, "reader") is not pools.pool(target, "writer")
    assert pools.pool(target, "reader") is not pools.pool(other, "reader")


async def test_an_endpoint_does_not_show_its_password(target: Target, pools: Pools) -> None:
    password = str(dsn.arguments(target.reader.reveal())["password"])
    pool = pools.pool(target, "reader")
    assert password not in f"{pool!r} {pool._connect!r} {pools._entries!r}"


@pytest.fixture(scope="module")
def shared(admin_uri: ConnectionUri) -> Target:
    """A user's global database."""
    database_id = DatabaseId(str(uuid.uuid4()))
    made = asyncio.run(ServerProvider(admin_uri).create(DatabaseSpec(database_id, Kind.GLOBAL)))
    return Target(database_id, Kind.GLOBAL, "global", made.credentials.writer, made.credentials.reader)


@contextlib.asynccontextmanager
async def limited(admin: Any, target: Target, limit: int) -> AsyncIterator[None]:
    """At most so many sessions fit into the database."""
    database = dsn.arguments(target.reader.reveal())["database"]
    await admin.execute(f"ALTER DATABASE {database} CONNECTION LIMIT {limit}")
    try:
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {database} CONNECTION LIMIT -1")


@contextlib.asynccontextmanager
async def processes(count: int, limits: PoolLimits) -> AsyncIterator[list[Pools]]:
    """What so many agents' server processes have."""
    opened = [Pools(limits) for _ in range(count)]
    try:
        yield opened
    finally:
        await asyncio.gather(*[each.close() for each in opened])


async def test_twenty_agents_of_one_user_are_all_answered_by_its_global_database(shared: Target) -> None:
    async with processes(20, PoolLimits()) as agents:
        assert [await sees(each, shared, "SELECT 1") for each in agents] == [1] * 20
        burst = [sees(each, shared, "SELECT 1 FROM pg_sleep(0.01)") for each in agents for _ in range(4)]
        assert await asyncio.gather(*burst) == [1] * 80


async def test_a_process_holds_few_connections_to_a_global_database(pools: Pools, shared: Target) -> None:
    await asyncio.gather(*[sees(pools, shared, "SELECT pg_sleep(0.05)") for _ in range(6)])
    assert len(pools.pool(shared, "reader")._idle) == PoolLimits().shared_size


async def test_whoever_finds_a_global_database_full_waits_until_others_are_idle(
    shared: Target, admin: Any
) -> None:
    async with (
        limited(admin, shared, 2),
        processes(6, PoolLimits(shared_idle_seconds=0.05)) as agents,
    ):
        assert await asyncio.gather(*[sees(each, shared, "SELECT 1") for each in agents]) == [1] * 6


async def test_a_connection_that_nobody_uses_makes_room_for_one_that_is_needed(
    pools: Pools, target: Target, admin: Any
) -> None:
    assert await sees(pools, target, "SELECT 1") == 1
    async with limited(admin, target, 1):
        await Runner(pools).run(target, write("SELECT 1"), [], CAPS)
    assert len(pools.pool(target, "reader")._idle) == 0


async def test_too_many_connections_are_named_as_the_cause(target: Target, admin: Any) -> None:
    pools = Pools(PoolLimits(connect_seconds=0.3))
    async with limited(admin, target, 0):
        with pytest.raises(Unavailable, match="Too many connections at once") as caught:
            await sees(pools, target, "SELECT 1")
    await pools.close()
    assert caught.value.code == "database_unavailable"


async def test_pools_of_databases_that_nobody_asks_for_are_forgotten_and_those_in_use_are_not(
    target: Target,
) -> None:
    other = replace(target, database_id=DatabaseId("another"))
    pools = Pools(PoolLimits(forget_seconds=0))
    try:
        used = pools.pool(target, "reader")
        session = await used.take()
        unused = pools.pool(target, "writer")
        pools.pool(other, "reader")
        assert pools.pool(target, "reader") is used
        assert pools.pool(target, "writer") is not unused
        used.give(session, tidy=False)
    finally:
        await pools.close()
