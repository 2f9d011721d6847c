"""What goes wrong with the control plane is said in words of ours: no host, no password, no driver's text."""

import asyncio
import socket
import traceback
from collections.abc import Callable

import asyncpg
import pytest

from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Keys, Store
from agentdb_mcp.store import connect as connect_module
from agentdb_mcp.store.failures import translated
from support.lives import ADA, active_global
from support.postgres import connected, run_sql

Change = Callable[[str], str]


async def failure(uri: ConnectionUri, keys: Keys) -> AgentDbError:
    store = await Store.open(uri, keys)
    try:
        with pytest.raises(AgentDbError) as caught:
            await store.user_exists(ADA)
    finally:
        await store.close()
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown + str(caught.value.as_dict())
    assert "asyncpg" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda uri: uri.rsplit("/", 1)[0] + "/no_such_database", "no database of that name"),
        (
            lambda uri: uri.replace(":", ":hunter2", 2).replace("hunter2//", "//"),
            "refused the user or the password",
        ),
        (lambda _: "postgresql://u:hunter2@127.0.0.1:1/d", "cannot be reached"),
        (lambda _: "postgresql://u:hunter2@no-such-host.invalid/d", "cannot be reached"),
        (lambda _: "postgresql://u:hunter2@/d?host=/nonexistent", "cannot be reached"),
        (lambda uri: uri + "?sslmode=require", "cannot be reached"),
    ],
)
async def test_a_control_plane_that_is_not_there_is_unavailable(
    control_uri: ConnectionUri, keys: Keys, change: Change, word: str
) -> None:
    error = await failure(ConnectionUri(change(control_uri.reveal())), keys)
    assert isinstance(error, Unavailable)
    assert error.code == "control_plane_unavailable"
    assert word in error.message
    assert "AGENTDB_CONTROL_URL" in error.hint


async def test_a_server_that_accepts_and_says_nothing_is_given_up(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_module, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = await failure(
            ConnectionUri(f"postgresql://u:hunter2@127.0.0.1:{port}/d?sslmode=disable"), keys
        )
    assert error.code == "control_plane_unavailable"
    assert "did not answer in time" in error.message


@pytest.mark.parametrize("uri", ["", "hunter2", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d"])
async def test_a_malformed_uri_is_the_operators_to_mend(keys: Keys, uri: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        await Store.open(ConnectionUri(uri), keys)
    assert caught.value.code == "settings_invalid"
    assert "AGENTDB_CONTROL_URL" in caught.value.message
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_schema_that_was_never_migrated_is_told(control_uri: ConnectionUri, keys: Keys) -> None:
    error = await failure(control_uri, keys)
    assert error.code == "schema_incomplete"
    assert "agentdb migrate" in error.hint


async def test_a_table_we_may_not_read_is_told(store: Store, control_uri: ConnectionUri, keys: Keys) -> None:
    await run_sql(control_uri, 'REVOKE ALL ON "user" FROM CURRENT_USER')
    error = await failure(control_uri, keys)
    assert error.code == "settings_invalid"
    assert "may not" in error.message


async def test_a_statement_that_takes_too_long_is_given_up(
    control_uri: ConnectionUri, store: Store, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_module, "STATEMENT_SECONDS", 0.2)
    async with connected(control_uri) as holder, holder.transaction():
        await holder.execute('LOCK TABLE "user"')
        error = await failure(control_uri, keys)
    assert error.code == "control_plane_unavailable"
    assert await store.user_exists(ADA) is False


async def test_a_lock_that_the_server_gives_up_is_a_fault_with_its_sqlstate(
    control_uri: ConnectionUri, store: Store, keys: Keys
) -> None:
    await run_sql(
        control_uri, 'ALTER TABLE "user" RENAME COLUMN id TO was_id', 'ALTER TABLE "user" ADD id integer'
    )
    error = await failure(control_uri, keys)
    assert error.code == "internal"
    assert "SQLSTATE" in error.message


async def test_after_every_connection_was_killed_the_next_call_works(
    store: Store, control_uri: ConnectionUri
) -> None:
    database = await active_global(store)
    for _ in range(3):
        await run_sql(
            control_uri,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert await store.find_by_id(database.id) == database


@pytest.mark.parametrize("lost", [asyncpg.InternalClientError, asyncpg.InterfaceError, ConnectionResetError])
def test_a_connection_that_the_driver_finds_broken_is_a_control_plane_that_is_not_there(
    lost: type[Exception],
) -> None:
    """InternalClientError: what asyncpg raises while a server's last word was read and its hanging up was not."""
    with pytest.raises(Unavailable) as caught, translated():
        raise lost("cannot switch to state 15")
    assert caught.value.code == "control_plane_unavailable"
    assert "state 15" not in str(caught.value)


async def test_a_server_that_moved_is_found_where_it_is_now(control_uri: ConnectionUri, keys: Keys) -> None:
    places = [ConnectionUri("postgresql://u:hunter2@127.0.0.1:1/before")]
    store = await Store.open(lambda: places[-1], keys)
    with pytest.raises(Unavailable):
        await store.migrate()
    places.append(control_uri)
    await store.migrate()
    assert not await store.user_exists(ADA)
    await store.close()


async def test_a_connection_killed_in_mid_call_is_an_error_and_the_next_call_works(
    store: Store, control_uri: ConnectionUri
) -> None:
    database = await active_global(store)
    async with connected(control_uri) as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE user_global_database")
        waiting = asyncio.create_task(store.find_by_id(database.id))
        while not await holder.fetchval(KILL_WAITERS):
            pass
        with pytest.raises(Unavailable) as caught:
            await waiting
        await transaction.rollback()
    assert caught.value.code == "control_plane_unavailable"
    assert await store.find_by_id(database.id) == database


KILL_WAITERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_a_transaction_that_fails_leaves_nothing(store: Store, control_uri: ConnectionUri) -> None:
    await run_sql(control_uri, "DROP TABLE user_db_budget")
    with pytest.raises(Misconfigured):
        await store.register_user(ADA, plan="pro", provider="local")
    assert not await store.user_exists(ADA)
    assert await store.plan_of(ADA) == "free"


async def test_closing_twice_and_with_nothing_open_is_quiet(control_uri: ConnectionUri, keys: Keys) -> None:
    store = await Store.open(control_uri, keys)
    await store.close()
    await store.close()
    with pytest.raises(AgentDbError):
        await store.user_exists(ADA)
