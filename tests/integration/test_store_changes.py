"""What was looked up may be remembered exactly as long as the count of changes stands still."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Changes, Keys, Store
from support.lives import ADA, BEN, RESEARCH, active_agent, active_global
from support.postgres import connected, run_sql
from support.waiting import until


@pytest.fixture
async def changes(store: Store) -> AsyncIterator[Changes]:
    await active_agent(store)
    await active_global(store, BEN)
    async with store.changes() as heard:
        await until(lambda: settled(heard))
        yield heard


async def settled(changes: Changes) -> bool:
    """Connected, and nothing more to hear of what was done so far."""
    return changes.version is not None


async def moved(changes: Changes, since: int | None) -> bool:
    return changes.version not in (None, since)


CHANGES = {
    "a pause": "UPDATE workspace_database SET paused_by = '{operator}'",
    "a pause through the parent": "UPDATE managed_database SET paused_by = '{operator}'",
    "new credentials": "UPDATE workspace_database SET writer_connection_uri = 'x'",
    "a state that was seen": "UPDATE managed_database SET observed_state = 'unknown'",
    "a workspace that is gone": "DELETE FROM workspace",
    "a user that is gone": "DELETE FROM \"user\" WHERE id = 'ben'",
    "a workspace given away": "UPDATE workspace SET owner_id = 'ben'",
    "a new database": "INSERT INTO workspace VALUES ('w2', 'ben');"
    " INSERT INTO workspace_database (workspace_id, user_id, provider) VALUES ('w2', 'ben', 'local')",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_by_whomever_moves_the_count(
    changes: Changes, control_uri: ConnectionUri, change: str
) -> None:
    before = changes.version
    await run_sql(control_uri, CHANGES[change])
    await until(lambda: moved(changes, before))
    assert changes.version != before


async def test_what_only_workers_care_about_is_not_told(
    store: Store, changes: Changes, control_uri: ConnectionUri
) -> None:
    before = changes.version
    assert before is not None
    await run_sql(
        control_uri,
        "UPDATE managed_database SET lease_token = 'x', attempts = 3, current_period_cost_cents = 7, updated_at = now()",
        "UPDATE workspace_database SET last_error = 'x'",
    )
    # What is told next is the next thing told.
    await run_sql(control_uri, "UPDATE workspace_database SET paused_by = '{operator}'")
    await until(lambda: moved(changes, before))
    assert changes.version == before + 1


async def test_the_count_stands_still_without_changes(store: Store, changes: Changes) -> None:
    before = changes.version
    assert await store.workspace_owner(RESEARCH) == ADA
    assert len(await store.list_databases(None)) == 3
    assert changes.version == before


async def test_a_lost_connection_is_never_mistaken_for_quiet(
    changes: Changes, control_uri: ConnectionUri
) -> None:
    before = changes.version
    versions: set[int | None] = set()

    async def lost() -> bool:
        versions.add(changes.version)
        return changes.version != before

    await run_sql(control_uri, KILL_LISTENERS)
    await until(lost)
    await until(lambda: moved(changes, before))
    assert versions - {before} <= {None, changes.version}
    after = changes.version
    await run_sql(control_uri, "UPDATE workspace_database SET paused_by = '{operator}'")
    await until(lambda: moved(changes, after))


KILL_LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
)


async def test_nothing_is_remembered_before_it_listens_nor_after(store: Store) -> None:
    async with store.changes() as changes:
        assert changes.version is None
        await until(lambda: settled(changes))
    assert changes.version is None


async def test_an_unreachable_control_plane_is_tried_again_until_it_is_there(
    control_uri: ConnectionUri, admin_uri: ConnectionUri, keys: Keys
) -> None:
    store = await Store.open(control_uri, keys)
    await store.migrate()
    async with connected(control_uri) as connection:
        role = await connection.fetchval("SELECT current_user")
    await run_sql(admin_uri, f"ALTER ROLE {role} NOLOGIN")
    async with store.changes() as changes:
        await asyncio.sleep(0)
        assert changes.version is None
        await run_sql(admin_uri, f"ALTER ROLE {role} LOGIN")
        await until(lambda: settled(changes))
        await active_global(store)
    await store.close()


async def test_leaving_gives_the_connection_back(store: Store, control_uri: ConnectionUri) -> None:
    async with store.changes() as changes:
        await until(lambda: settled(changes))

    async def gone() -> bool:
        async with connected(control_uri) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            return await connection.fetchval(query) == 0

    await until(gone)
    assert changes.version is None


async def test_a_pause_is_heard_by_every_listener(store: Store, changes: Changes) -> None:
    async with store.changes() as second:
        await until(lambda: settled(second))
        before = (changes.version, second.version)
        database = (await store.list_databases(ADA))[0]
        await store.pause(database.id)
        await until(lambda: moved(changes, before[0]))
        await until(lambda: moved(second, before[1]))
