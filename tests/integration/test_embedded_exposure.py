"""What of the embedded server can be reached, read or guessed by anybody else on the machine."""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.secrets import MASK
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.home import Home
from support.members import embedded_home
from support.postgres import connected


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedPostgres]:
    """As in life, without the tests' relaxations."""
    with embedded_home() as home:
        yield asyncio.run(EmbeddedPostgres.open(home))


@pytest.fixture
def home(embedded: EmbeddedPostgres) -> Home:
    return embedded._home


@pytest.fixture
def server(home: Home) -> psutil.Process:
    status = EmbeddedPostgres.status(home.root)
    assert status is not None
    assert status.running is not None
    return psutil.Process(status.running.pid)


def test_it_listens_on_the_loopback_address_only(server: psutil.Process) -> None:
    listening = [each.laddr.ip for each in server.net_connections("all") if each.status == "LISTEN"]
    assert listening == ["127.0.0.1"]
    assert [each for each in server.net_connections("unix") if each.laddr] == []


def test_it_does_not_run_as_root(server: psutil.Process) -> None:
    assert 0 not in server.uids()
    assert 0 not in server.gids()


def test_no_password_is_on_a_command_line_or_in_the_servers_environment(
    home: Home, server: psutil.Process
) -> None:
    passwords = home.read_secrets().passwords
    secrets = {passwords.admin.encode(), passwords.control.encode()}
    own = {server.pid, *(child.pid for child in server.children(recursive=True))}
    seen = 0
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", *(["environ"] if int(folder.name) in own else [])):
            try:
                text = (folder / name).read_bytes()
            except OSError:
                continue  # gone meanwhile, or another account's
            seen += 1
            assert not any(secret in text for secret in secrets), folder
    assert seen > len(own)


def test_the_callers_environment_is_not_passed_on(server: psutil.Process) -> None:
    assert set(server.environ()) <= {"LC_ALL", "TZ", "PATH", "PWD", "OLDPWD", "_", "SHLVL", "PGLOCALEDIR"}


def test_secrets_are_readable_by_this_account_alone(home: Home) -> None:
    files = list(home.files.iterdir())
    assert {file.name for file in files} == {"start.lock", "users.lock", "server.lock", "secrets.json"}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_uid == os.geteuid()
    assert stat.S_IMODE(home.files.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.place / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((home.place / "server.log").stat().st_mode) == 0o600


def test_the_server_cannot_change_its_own_configuration(home: Home, server: psutil.Process) -> None:
    for name in ("postgresql.conf", "pg_hba.conf"):
        found = (home.place / name).stat()
        assert found.st_uid == os.geteuid()
        assert stat.S_IMODE(found.st_mode) == 0o644
        assert os.geteuid() != 0 or found.st_uid not in server.uids()


@pytest.mark.parametrize("role", ["admin_uri", "control_uri"])
@pytest.mark.parametrize("password", ["wrong", ""])
async def test_a_wrong_password_is_refused(embedded: EmbeddedPostgres, role: str, password: str) -> None:
    arguments = dsn.arguments(getattr(embedded, role).reveal())
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(**{**arguments, "password": password})


async def test_every_way_in_asks_for_a_scram_password(embedded: EmbeddedPostgres) -> None:
    async with connected(embedded.admin_uri) as admin:
        rules = await admin.fetch(
            "SELECT type, database, user_name, address, auth_method FROM pg_hba_file_rules"
        )
        assert [tuple(rule) for rule in rules] == [("host", ["all"], ["all"], "127.0.0.1", "scram-sha-256")]
        verifiers = await admin.fetch("SELECT rolpassword FROM pg_authid WHERE rolcanlogin")
        assert all(row["rolpassword"].startswith("SCRAM-SHA-256$") for row in verifiers)


async def test_nobody_replicates(embedded: EmbeddedPostgres) -> None:
    arguments = dsn.arguments(embedded.admin_uri.reveal())
    arguments["server_settings"] = {"replication": "true"}
    with pytest.raises(asyncpg.TooManyConnectionsError, match="max_wal_senders"):
        await asyncpg.connect(**arguments)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("max_connections", "500"),
        ("max_prepared_transactions", "0"),
        ("max_wal_senders", "0"),
        ("client_connection_check_interval", "1s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("jit", "off"),
        ("log_min_messages", "fatal"),
        ("log_statement", "none"),
        ("log_min_error_statement", "panic"),
        ("log_parameter_max_length_on_error", "0"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("shared_preload_libraries", ""),
    ],
)
async def test_the_server_is_set_as_documented(embedded: EmbeddedPostgres, setting: str, value: str) -> None:
    async with connected(embedded.admin_uri) as admin:
        assert await admin.fetchval("SELECT current_setting($1)", setting) == value


async def test_the_control_role_owns_its_database_and_nothing_else(embedded: EmbeddedPostgres) -> None:
    async with connected(embedded.control_uri) as control:
        attributes = await control.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user"
        )
        assert not any(attributes)
        reachable = await control.fetch(
            "SELECT datname FROM pg_database WHERE has_database_privilege(oid, 'CONNECT') AND datallowconn"
        )
        assert [row["datname"] for row in reachable] == ["agentdb_control"]
        memberships = await control.fetchval(
            "SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"
        )
        assert memberships == 0


async def test_what_agents_ask_and_store_stays_out_of_the_log(embedded: EmbeddedPostgres) -> None:
    async with connected(embedded.control_uri) as control:
        for statement in (
            "SELECT 'canary-8c41'::int",
            "SELECT * FROM canary_8c41",
            "DO $$ BEGIN RAISE WARNING 'canary-8c41'; END $$",
            "DO $$ BEGIN RAISE LOG 'canary-8c41'; END $$",
            "SET log_min_messages = log",
            "SET debug_print_parse = on",
            "SELECT 1 AS canary_8c41",
            "DO $$ BEGIN RAISE EXCEPTION 'canary-8c41' USING DETAIL = 'canary-8c41'; END $$",
        ):
            with contextlib.suppress(asyncpg.PostgresError):
                await control.execute(statement)
        with pytest.raises(asyncpg.DataError, match="canary"):
            await control.fetchval("SELECT $1::text::int", "canary-8c41")
    status = EmbeddedPostgres.status(embedded._home.root)
    assert status is not None
    assert "canary" not in status.log.read_text()


def test_its_uris_are_masked_in_print(embedded: EmbeddedPostgres) -> None:
    assert f"{embedded.admin_uri} {embedded.control_uri!r}" == f"{MASK} {MASK}"
    assert embedded._passwords.admin not in repr(embedded._passwords)
    assert embedded._passwords.admin not in repr(embedded._home.read_secrets())
