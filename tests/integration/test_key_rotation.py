"""A rotation seals everything anew, loses nothing wherever it is killed, and drops a key only when it is unused."""

import asyncio
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.core.ids import UserId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.store import Keys, Store, open_keys, rotation
from agentdb_mcp.store.cipher import KeyRing, sealed_with
from agentdb_mcp.store.keys import KeyFile
from support.lives import ADA, active_global, make, provisioned
from support.postgres import connected, run_sql

USERS = 12


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "encryption.key"


@pytest.fixture
def keys(key_file: Path) -> Keys:
    return KeyFile(key_file)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 5)


async def populated(store: Store) -> list[ManagedDatabase]:
    return [await active_global(store, UserId(f"user-{number:02}")) for number in range(USERS)]


async def all_open(store: Store, databases: list[ManagedDatabase]) -> bool:
    """Every one, with what was recorded for it."""
    for database in databases:
        made = provisioned(f"g-{database.user_id}").credentials
        if await store.open_credentials(database.id) != (made.writer, made.reader):
            return False
    return True


async def key_ids(uri: ConnectionUri) -> set[str]:
    async with connected(uri) as connection:
        return set(
            await connection.fetchval(
                "SELECT array_agg(DISTINCT split_part(value, '.', 2)) FROM managed_database,"
                " unnest(ARRAY[neon_connection_uri, writer_connection_uri, reader_connection_uri]) AS value"
                " WHERE value IS NOT NULL"
            )
        )


async def test_everything_is_sealed_under_a_new_key_and_the_old_one_goes(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    before = keys.ring().current_id
    heard: list[int] = []
    done = await store.rotate_keys(heard.append)
    assert heard == [0, 5, 10, 12]
    assert (done.resealed, done.remaining, done.unreadable) == (USERS, 0, ())
    assert (done.new_key, done.dropped_keys) == (True, 1)
    assert done.key_id == keys.ring().current_id != before
    assert await key_ids(control_uri) == {done.key_id}
    assert len(key_file.read_text().split()) == 1
    assert await all_open(store, databases)
    assert "resealed 12 database(s) under the new key" in str(done)


async def test_rotating_again_makes_another_key(store: Store, keys: Keys) -> None:
    databases = await populated(store)
    first = await store.rotate_keys()
    second = await store.rotate_keys()
    assert first.key_id != second.key_id
    assert await all_open(store, databases)


async def test_rotating_with_no_database_changes_the_key(store: Store, keys: Keys) -> None:
    before = keys.ring().current_id
    done = await store.rotate_keys()
    assert (done.resealed, done.dropped_keys) == (0, 1)
    assert done.key_id != before


async def test_an_owners_uri_is_sealed_anew_as_well(
    store: Store, control_uri: ConnectionUri, keys: Keys
) -> None:
    registration = await store.register_user(ADA, plan=None, provider="local")
    await make(store, registration.database.id, provisioned(owner=True))
    done = await store.rotate_keys()
    async with connected(control_uri) as connection:
        sealed = await connection.fetchval("SELECT neon_connection_uri FROM user_global_database")
    assert sealed.startswith(sealed_with(done.key_id))


ROTATOR = """
import asyncio, sys
from pathlib import Path
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Store, rotation
from agentdb_mcp.store.keys import KeyFile

rotation.BATCH = 2

def tell(done):
    print(done, flush=True)
    sys.stdin.readline()

async def main():
    store = await Store.open(ConnectionUri(sys.stdin.readline().strip()), KeyFile(Path(sys.argv[1])))
    print(await store.rotate_keys(tell))
    await store.close()

asyncio.run(main())
"""


class Rotator:
    """A rotation in a process of its own, which stops after each step until it is told to go on."""

    def __init__(self, key_file: Path, uri: ConnectionUri) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ROTATOR, str(key_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._go_on(uri.reveal())

    def steps(self, count: int) -> None:
        """Let it reach step `count`, counted from 0: the key is there, 2 are done, 4 are done …"""
        assert self._process.stdout is not None
        for step in range(count + 1):
            if step:
                self._go_on("")
            assert self._process.stdout.readline().strip() == str(min(2 * step, USERS))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL

    def finish(self) -> str:
        said, _ = self._process.communicate("\n" * 50, timeout=60)
        assert self._process.returncode == 0
        return said

    def _go_on(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@pytest.mark.parametrize("step", [0, 1, 3, 6])
async def test_a_rotation_that_is_killed_loses_nothing_and_the_next_one_finishes_it(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path, step: int
) -> None:
    databases = await populated(store)
    before = keys.ring().current_id
    rotator = Rotator(key_file, control_uri)
    rotator.steps(step)
    rotator.kill()
    new, old = key_file.read_text().split()
    assert KeyRing(KeyText(old)).current_id == before
    assert await all_open(store, databases)
    assert await key_ids(control_uri) <= {before, KeyRing(KeyText(new)).current_id}
    done = await store.rotate_keys()
    assert not done.new_key
    assert done.resealed == USERS - 2 * step
    assert key_file.read_text().split() == [new]
    assert await key_ids(control_uri) == {done.key_id}
    assert await all_open(store, databases)


async def test_a_rotation_killed_over_and_over_comes_to_an_end(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    first = Rotator(key_file, control_uri)
    first.steps(1)
    first.kill()
    for _ in range(2):
        again = Rotator(key_file, control_uri)
        again.steps(1)
        again.kill()
        assert await all_open(store, databases)
    assert "removed 1 older key(s)" in Rotator(key_file, control_uri).finish()
    assert await all_open(store, databases)


async def test_several_rotations_at_once_agree_on_one_key(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    rotators = [Rotator(key_file, control_uri) for _ in range(3)]
    said = await asyncio.gather(*(asyncio.to_thread(rotator.finish) for rotator in rotators))
    assert all("key " in each for each in said)
    assert len(key_file.read_text().split()) == 1
    assert await key_ids(control_uri) == {keys.ring().current_id}
    assert await all_open(store, databases)


async def test_what_is_made_while_a_rotation_runs_is_sealed_with_the_new_key(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    keys.ring()
    rotator = Rotator(key_file, control_uri)
    rotator.steps(2)
    databases.append(await active_global(store, UserId("aaa-new")))
    rotator.finish()
    assert await key_ids(control_uri) == {keys.ring().current_id}
    assert await all_open(store, databases)


async def test_a_server_that_runs_on_opens_everything_throughout(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    rotator = Rotator(key_file, control_uri)
    for _ in range(3):
        assert await all_open(store, databases)
    rotator.steps(0)
    assert await all_open(store, databases)
    rotator.finish()
    assert await all_open(store, databases)


async def test_nobody_changes_the_keys_while_something_is_sealed(
    store: Store, control_uri: ConnectionUri, keys: Keys
) -> None:
    databases = await populated(store)
    before = keys.ring().current_id
    async with connected(control_uri) as sealer, sealer.transaction():
        await sealer.execute("SELECT pg_advisory_xact_lock_shared($1)", int.from_bytes(b"agentdbk"))
        rotating = asyncio.create_task(store.rotate_keys())
        while not await sealer.fetchval(WAITING_FOR_KEYS):
            pass
        assert keys.ring().current_id == before
    await rotating
    assert keys.ring().current_id != before
    assert await all_open(store, databases)


WAITING_FOR_KEYS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class TestKeysOfTheEnvironment:
    """The operator sets the new key as current and the old one beside it."""

    OLD, NEW = KeyText(secrets.token_hex(32)), KeyText(secrets.token_hex(32))

    @pytest.fixture
    def keys(self) -> Keys:
        return open_keys(self.OLD, (), None)

    async def test_everything_is_sealed_under_the_current_one(
        self, store: Store, control_uri: ConnectionUri
    ) -> None:
        databases = await populated(store)
        rotating = await Store.open(control_uri, open_keys(self.NEW, [self.OLD], None))
        done = await rotating.rotate_keys()
        await rotating.close()
        assert (done.resealed, done.remaining) == (USERS, 0)
        assert (done.new_key, done.dropped_keys) == (False, 0)
        alone = await Store.open(control_uri, open_keys(self.NEW, (), None))
        assert await all_open(alone, databases)
        await alone.close()

    async def test_without_the_old_key_nothing_is_changed_and_every_database_is_named(
        self, store: Store, control_uri: ConnectionUri
    ) -> None:
        databases = await populated(store)
        rotating = await Store.open(control_uri, open_keys(self.NEW, (), None))
        done = await rotating.rotate_keys()
        await rotating.close()
        assert (done.resealed, done.remaining) == (0, USERS)
        assert sorted(done.unreadable) == sorted(database.id for database in databases)
        assert f"could not open the credentials of database {databases[0].id}" in str(done)
        assert await all_open(store, databases)


async def test_one_unreadable_row_does_not_hold_up_the_others_and_keeps_the_older_key(
    store: Store, control_uri: ConnectionUri, keys: Keys, key_file: Path
) -> None:
    databases = await populated(store)
    broken, *whole = sorted(databases, key=lambda database: database.id)
    await run_sql(
        control_uri, f"UPDATE managed_database SET reader_connection_uri = 'v1.x.y' WHERE id = '{broken.id}'"
    )
    done = await store.rotate_keys()
    assert (done.resealed, done.remaining, done.unreadable) == (USERS - 1, 1, (broken.id,))
    assert done.dropped_keys == 0
    assert len(key_file.read_text().split()) == 2
    assert "keep the older keys" in str(done)
    assert await all_open(store, whole)


def in_sims_form(uri: ConnectionUri, key: str) -> str:
    """As Sim's lib/encryption.ts writes it: `ivHex:cipherHex:tagHex`, a 16-byte IV, no associated data."""
    nonce = secrets.token_bytes(16)
    sealed = AESGCM(bytes.fromhex(key)).encrypt(nonce, uri.reveal().encode(), None)
    return ":".join(part.hex() for part in (nonce, sealed[:-16], sealed[-16:]))


async def test_rows_in_sims_form_are_sealed_in_ours(
    store: Store, control_uri: ConnectionUri, key_file: Path
) -> None:
    database = await active_global(store)
    made = provisioned("from-sim").credentials
    (key,) = key_file.read_text().split()
    async with connected(control_uri) as connection:
        await connection.execute(
            "UPDATE managed_database SET writer_connection_uri = $1, reader_connection_uri = $2",
            in_sims_form(made.writer, key),
            in_sims_form(made.reader, key),
        )
    done = await store.rotate_keys()
    assert (done.resealed, done.remaining, done.unreadable) == (1, 0, ())
    assert await store.open_credentials(database.id) == (made.writer, made.reader)
