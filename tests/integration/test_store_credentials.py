"""Credentials rest sealed, open for their own row only, and stay closed with a clear word otherwise."""

import secrets
from pathlib import Path

import pytest

from agentdb_mcp.core.errors import Misconfigured, Missing
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.store import Keys, Store, open_keys
from agentdb_mcp.store.cipher import Place
from support.lives import ADA, BEN, RESEARCH, active_agent, active_global, make, provisioned
from support.postgres import connected, run_sql


async def refused(store: Store, database_id: DatabaseId) -> str:
    with pytest.raises(Misconfigured) as caught:
        await store.open_credentials(database_id)
    assert "secret-" not in str(caught.value)
    return caught.value.code


async def test_what_was_recorded_is_what_opens(store: Store) -> None:
    for database, name in ((await active_agent(store), "a-research"), (await active_global(store), "g-ada")):
        made = provisioned(name).credentials
        assert await store.open_credentials(database.id) == (made.writer, made.reader)


async def test_nothing_of_a_uri_is_in_the_control_plane(store: Store) -> None:
    await active_agent(store)
    await active_global(store)
    dump = await store.dump()
    assert dump.count("v1.") == 4
    assert "secret-" not in dump
    assert "postgresql://" not in dump


async def test_an_owner_that_can_log_in_is_sealed_beside_the_others(
    store: Store, control_uri: ConnectionUri, keys: Keys
) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    await make(store, registration.database.id, provisioned("d3", owner=True))
    async with connected(control_uri) as connection:
        sealed = await connection.fetchval("SELECT neon_connection_uri FROM user_global_database")
    place = Place("user_global_database", registration.database.id, "neon_connection_uri", ADA)
    assert keys.ring().open(sealed, place) == provisioned("d3", owner=True).credentials.owner


async def test_a_database_that_is_still_made_is_pending(store: Store) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    with pytest.raises(Missing) as caught:
        await store.open_credentials(registration.database.id)
    assert caught.value.code == "database_pending"


async def test_a_deleted_database_is_not_found(store: Store) -> None:
    database = await active_agent(store)
    await store.delete_workspace(RESEARCH, ADA)
    for database_id in (database.id, DatabaseId("never")):
        with pytest.raises(Missing) as caught:
            await store.open_credentials(database_id)
        assert caught.value.code == "database_not_found"


async def test_a_wrong_key_is_refused_by_its_id(store: Store, control_uri: ConnectionUri, keys: Keys) -> None:
    database = await active_agent(store)
    other = await Store.open(control_uri, open_keys(KeyText(secrets.token_hex(32)), (), None))
    with pytest.raises(Misconfigured) as caught:
        await other.open_credentials(database.id)
    await other.close()
    assert caught.value.code == "encryption_key_unknown"
    assert keys.ring().current_id in caught.value.message


SWAPS = {
    "columns": "UPDATE workspace_database SET writer_connection_uri = reader_connection_uri,"
    " reader_connection_uri = writer_connection_uri",
    "tables": "UPDATE workspace_database SET writer_connection_uri ="
    " (SELECT writer_connection_uri FROM user_global_database WHERE user_id = 'ada')",
    "owners": "UPDATE workspace_database SET user_id = 'ben'",
    "ids": "UPDATE workspace_database SET id = gen_random_uuid() RETURNING id",
    "tampering": "UPDATE workspace_database SET writer_connection_uri ="
    " overlay(writer_connection_uri placing 'AAAA' from 40)",
    "cutting": "UPDATE workspace_database SET reader_connection_uri = left(reader_connection_uri, -4)",
    "plain text": "UPDATE workspace_database SET writer_connection_uri = 'postgresql://u:secret-x@h/d'",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_value_that_was_changed_or_moved_does_not_open(
    store: Store, control_uri: ConnectionUri, swap: str
) -> None:
    await active_global(store)
    await active_global(store, BEN)
    await active_agent(store)
    async with connected(control_uri) as connection:
        await connection.execute(SWAPS[swap])
        database_id = await connection.fetchval("SELECT id FROM workspace_database")
    assert await refused(store, database_id) == "ciphertext_invalid"


async def test_a_value_of_another_row_does_not_open(store: Store, control_uri: ConnectionUri) -> None:
    ada, ben = await active_global(store), await active_global(store, BEN)
    await run_sql(
        control_uri,
        "UPDATE user_global_database AS d SET writer_connection_uri = o.writer_connection_uri,"
        " reader_connection_uri = o.reader_connection_uri FROM user_global_database AS o WHERE o.id <> d.id",
    )
    for database in (ada, ben):
        assert await refused(store, database.id) == "ciphertext_invalid"


async def test_credentials_made_anew_replace_the_old(store: Store, control_uri: ConnectionUri) -> None:
    database = await active_agent(store)
    await run_sql(control_uri, "UPDATE workspace_database SET observed_state = 'unknown'")
    await make(store, database.id, provisioned("fresh"))
    made = provisioned("fresh").credentials
    assert await store.open_credentials(database.id) == (made.writer, made.reader)


async def test_a_new_home_gets_its_key_and_a_lost_key_is_not_replaced(
    control_uri: ConnectionUri, tmp_path: Path
) -> None:
    file = tmp_path / "encryption.key"
    store = await Store.open(control_uri, open_keys(None, (), file))
    await store.migrate()
    await store.check_keys()
    made = file.read_text()
    await active_global(store)
    await store.check_keys()
    assert file.read_text() == made
    file.unlink()
    with pytest.raises(Misconfigured) as caught:
        await store.check_keys()
    assert caught.value.code == "encryption_key_missing"
    assert "agentdb database mend" in caught.value.hint
    assert not file.exists()
    await store.close()


async def test_a_key_file_that_others_can_read_is_refused_before_it_is_needed(
    control_uri: ConnectionUri, tmp_path: Path
) -> None:
    file = tmp_path / "encryption.key"
    store = await Store.open(control_uri, open_keys(None, (), file))
    await store.migrate()
    await store.check_keys()
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="other users"):
        await store.check_keys()
    await store.close()
