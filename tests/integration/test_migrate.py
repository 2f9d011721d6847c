"""Migrations: once each, whoever starts and however many at once; and never over a history that is not ours."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import migrate as migrate_module
from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.migrate import LOCK, migrate, read_migrations
from support.postgres import connected, run_sql
from support.waiting import until

SHIPPED = assets.folder("migrations")
NAMES = tuple(sorted(path.stem for path in SHIPPED.glob("*.sql")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small migrations, to be spoilt."""
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (n int);\nINSERT INTO one VALUES (1);\n")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE two (n int);\n")
    return tmp_path


async def migrated(uri: ConnectionUri, folder: Path = SHIPPED) -> tuple[str, ...]:
    control_plane = await ControlPlane.open(uri)
    try:
        async with control_plane.connection() as connection:
            return await migrate(connection, read_migrations(folder))
    finally:
        await control_plane.close()


async def refusal(uri: ConnectionUri, folder: Path) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        await migrated(uri, folder)
    return caught.value


async def test_it_says_what_it_applied_and_then_that_nothing_is_left(control_uri: ConnectionUri) -> None:
    assert await migrated(control_uri) == NAMES
    assert await migrated(control_uri) == ()


async def test_only_what_is_new_is_applied(control_uri: ConnectionUri, folder: Path) -> None:
    await migrated(control_uri, folder)
    (folder / "0003_third.sql").write_text("ALTER TABLE two ADD m int;")
    assert await migrated(control_uri, folder) == ("0003_third",)


async def test_many_tasks_at_once_apply_each_migration_once(control_uri: ConnectionUri) -> None:
    results = await asyncio.gather(*(migrated(control_uri) for _ in range(8)))
    assert sorted(name for applied in results for name in applied) == sorted(NAMES)


MIGRATOR = """
import asyncio, sys
from agentdb_mcp import assets
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.migrate import migrate, read_migrations

async def main():
    control_plane = await ControlPlane.open(ConnectionUri(sys.stdin.readline().strip()))
    async with control_plane.connection() as connection:
        print(*await migrate(connection, read_migrations(assets.folder("migrations"))))
    await control_plane.close()

asyncio.run(main())
"""


def test_many_processes_at_once_apply_each_migration_once(control_uri: ConnectionUri) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(control_uri.reveal() + "\n", timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(" ".join(outputs).split()) == sorted(NAMES)


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_xact_lock%'"


async def test_a_holder_of_the_lock_is_waited_for(control_uri: ConnectionUri) -> None:
    async with connected(control_uri) as holder:
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        waiting = asyncio.create_task(migrated(control_uri))
        async with connected(control_uri) as watcher:
            await until(lambda: watcher.fetchval(WAITING))
        assert not waiting.done()
        await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
        assert await waiting == NAMES


async def test_a_lock_that_is_never_given_back_is_told(
    control_uri: ConnectionUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "LOCK_TRIES", 2)
    async with connected(control_uri) as holder:
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        with pytest.raises(Unavailable) as caught:
            await migrated(control_uri)
    assert caught.value.code == "control_plane_unavailable"
    assert "Another process" in caught.value.message


async def test_an_edited_migration_is_refused_by_name(control_uri: ConnectionUri, folder: Path) -> None:
    await migrated(control_uri, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE one (n bigint);")
    (folder / "0003_third.sql").write_text("CREATE TABLE three (n int);")
    error = await refusal(control_uri, folder)
    assert error.code == "schema_edited"
    assert "0001_first" in error.message
    async with connected(control_uri) as connection:
        assert await connection.fetchval("SELECT to_regclass('three')") is None


async def test_a_renamed_migration_is_refused(control_uri: ConnectionUri, folder: Path) -> None:
    await migrated(control_uri, folder)
    (folder / "0002_second.sql").rename(folder / "0002_other.sql")
    assert (await refusal(control_uri, folder)).code == "schema_edited"


async def test_a_history_with_a_hole_is_refused(control_uri: ConnectionUri, folder: Path) -> None:
    await migrated(control_uri, folder)
    await run_sql(control_uri, "DELETE FROM schema_migration WHERE version = 1")
    assert (await refusal(control_uri, folder)).code == "schema_edited"


async def test_a_checkout_with_other_line_ends_is_not_an_edit(
    control_uri: ConnectionUri, folder: Path
) -> None:
    await migrated(control_uri, folder)
    first = folder / "0001_first.sql"
    first.write_bytes(first.read_bytes().replace(b"\n", b"\r\n"))
    assert await migrated(control_uri, folder) == ()


async def test_a_schema_newer_than_this_build_is_refused(control_uri: ConnectionUri, folder: Path) -> None:
    await migrated(control_uri, folder)
    (folder / "0002_second.sql").unlink()
    error = await refusal(control_uri, folder)
    assert error.code == "schema_newer"
    assert "at 2" in error.message


@pytest.mark.parametrize(
    "extra",
    ["0002_again.sql", "0004_gap.sql", "0003-dash.sql", "3_short.sql", "0003_Upper.sql", "0000_zero.sql"],
)
def test_files_that_are_not_numbered_one_by_one_are_refused(folder: Path, extra: str) -> None:
    (folder / extra).write_text("SELECT 1")
    with pytest.raises(Misconfigured) as caught:
        read_migrations(folder)
    assert caught.value.code == "schema_edited"


async def test_a_migration_that_fails_leaves_nothing_and_says_why(
    control_uri: ConnectionUri, folder: Path
) -> None:
    await run_sql(control_uri, "CREATE TABLE two (is_the_hosts text)")
    error = await refusal(control_uri, folder)
    assert error.code == "schema_incomplete"
    assert "0002_second" in error.message
    assert "there already" in error.message
    async with connected(control_uri) as connection:
        assert await connection.fetch("SELECT name FROM schema_migration") == [("0001_first",)]
        assert await connection.fetchval("SELECT n FROM one") == 1
    await run_sql(control_uri, "DROP TABLE two")
    assert await migrated(control_uri, folder) == ("0002_second",)


async def test_a_user_that_may_not_make_tables_is_told(
    control_uri: ConnectionUri, admin_uri: ConnectionUri
) -> None:
    async with connected(control_uri) as connection:
        user = await connection.fetchval("SELECT current_user")
        database = await connection.fetchval("SELECT current_database()")
    await run_sql(admin_uri, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
    try:
        error = await refusal(control_uri, SHIPPED)
    finally:
        await run_sql(admin_uri, f"ALTER DATABASE {database} OWNER TO {user}")
    assert error.code == "schema_incomplete"
    assert "may not do it" in error.message


HOST_TABLES = (
    'CREATE TABLE "user" (id text PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL)',
    'CREATE TABLE workspace (id text PRIMARY KEY, owner_id text NOT NULL REFERENCES "user", settings jsonb NOT NULL)',
    "CREATE TABLE subscription (id text PRIMARY KEY, plan text NOT NULL, reference_id text NOT NULL, seats integer)",
    "INSERT INTO \"user\" VALUES ('u', 'u@example.org', 'U')",
)


async def test_tables_of_a_host_are_kept_as_they_are(control_uri: ConnectionUri) -> None:
    await run_sql(control_uri, *HOST_TABLES)
    assert await migrated(control_uri) == NAMES
    async with connected(control_uri) as connection:
        assert await connection.fetch('SELECT * FROM "user"') == [("u", "u@example.org", "U")]
        await connection.execute("INSERT INTO user_global_database (user_id, provider) VALUES ('u', 'local')")
        with pytest.raises(Exception, match="violates foreign key"):
            await connection.execute("INSERT INTO user_db_budget (user_id) VALUES ('nobody')")


async def test_tables_of_a_host_with_another_owner_need_only_a_few_rights(
    control_uri: ConnectionUri, admin_uri: ConnectionUri
) -> None:
    await run_sql(control_uri, *HOST_TABLES)
    async with connected(control_uri) as connection:
        us, database = await connection.fetchrow("SELECT current_user, current_database()")
    parts = admin_uri.reveal().rpartition("/")
    in_database = ConnectionUri("".join([*parts[:2], database]))
    await run_sql(
        in_database,
        *(f'ALTER TABLE "{table}" OWNER TO CURRENT_USER' for table in ("user", "workspace", "subscription")),
        f'GRANT SELECT, REFERENCES ON "user", workspace, subscription TO {us}',
    )
    refused = await refusal(control_uri, SHIPPED)
    assert "may not do it" in refused.message
    await run_sql(in_database, f"GRANT TRIGGER ON workspace TO {us}")
    assert await migrated(control_uri) == NAMES
    async with connected(in_database) as host:
        await host.execute("INSERT INTO workspace VALUES ('w', 'u', '{}')")
        await run_sql(
            control_uri,
            "INSERT INTO workspace_database (workspace_id, user_id, provider) VALUES ('w', 'u', 'local')",
        )
        await host.execute("DELETE FROM workspace")
    async with connected(control_uri) as connection:
        assert await connection.fetch("SELECT workspace_id FROM database_tombstone") == [("w",)]


async def test_keys_of_a_host_that_are_not_text_are_refused_in_words(control_uri: ConnectionUri) -> None:
    await run_sql(control_uri, 'CREATE TABLE "user" (id uuid PRIMARY KEY)')
    error = await refusal(control_uri, SHIPPED)
    assert error.code == "schema_incomplete"
    assert "not of type text" in error.message


async def test_the_tombstone_is_written_whoever_deletes_and_however_their_session_is_set(
    control_uri: ConnectionUri, admin_uri: ConnectionUri
) -> None:
    await migrated(control_uri)
    async with connected(control_uri) as connection:
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute("INSERT INTO \"user\" (id) VALUES ('u')")
        await connection.execute("INSERT INTO user_global_database (user_id, provider) VALUES ('u', 'local')")
    host = f"{database}_host"
    await run_sql(admin_uri, f"CREATE ROLE {host} LOGIN PASSWORD '{host}'")
    try:
        await run_sql(control_uri, f'GRANT SELECT, DELETE ON "user" TO {host}', "CREATE SCHEMA elsewhere")
        host_uri = ConnectionUri(
            control_uri.reveal().replace(f"//{database}:{database}@", f"//{host}:{host}@")
        )
        async with connected(host_uri) as session:
            await session.execute("SET search_path = elsewhere; SET timezone = 'Asia/Tokyo'")
            await session.execute("CREATE TEMP TABLE database_tombstone (id text, user_id text)")
            await session.execute("DELETE FROM public.\"user\" WHERE id = 'u'")
        async with connected(control_uri) as connection:
            rows = await connection.fetch(
                "SELECT user_id, desired_state, abs(extract(epoch FROM updated_at - now() AT TIME ZONE 'UTC')) < 60"
                " FROM database_tombstone"
            )
        assert rows == [("u", "deleted", True)]
    finally:
        await run_sql(control_uri, f'REVOKE ALL ON "user" FROM {host}')
        await run_sql(admin_uri, f"DROP ROLE {host}")


def test_the_shipped_folder_is_the_one_that_is_read(tmp_path: Path) -> None:
    copy = shutil.copytree(SHIPPED, tmp_path / "copy")
    assert read_migrations(copy) == read_migrations(SHIPPED)
