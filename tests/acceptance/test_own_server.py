"""A Postgres of one's own as the control plane: a plain role that may create databases and roles suffices."""

import asyncio
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.secrets import ConnectionUri
from support.commands import run_program
from support.hosts import Host
from support.postgres import run_sql


@pytest.fixture
def environment(admin_uri: ConnectionUri) -> Iterator[dict[str, str]]:
    """Settings that name a server, and an operator on it who is no superuser."""
    name = f"operator_{uuid.uuid4().hex[:8]}"
    password = secrets.token_hex(8)
    asyncio.run(
        run_sql(
            admin_uri,
            f"CREATE ROLE {name} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD '{password}'",
            f"CREATE DATABASE {name} OWNER {name}",
        )
    )
    parts = dsn.arguments(admin_uri.reveal())
    yield {
        "AGENTDB_CONTROL_URL": f"postgresql://{name}:{password}@{parts['host']}:{parts['port']}/{name}?sslmode=disable",
        "NEON_CONNECTION_ENCRYPTION_KEY": secrets.token_hex(32),
    }
    asyncio.run(run_sql(admin_uri, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}"))


def test_the_whole_life_of_a_workspace_without_a_superuser(
    environment: dict[str, str], tmp_path: Path
) -> None:
    migrated = run_program(tmp_path, "migrate", **environment)
    assert "applied 0001" in migrated.stdout, migrated.stderr
    for command in (("user", "create", "ada"), ("workspace", "create", "research", "--user", "ada")):
        made = run_program(tmp_path, *command, **environment)
        assert made.returncode == 0, made.stderr
        assert "not hardened: " in made.stdout, "what needs a superuser is reported"
    with Host(tmp_path, "--workspace", "research", **environment) as host:
        host.call("execute_ddl", sql="CREATE TABLE t (a int)")
        host.call("execute", sql="INSERT INTO t VALUES (1), (2)")
        assert host.rows("SELECT sum(a) FROM t") == [[3]]
        refused = host.error("query", sql="INSERT INTO t VALUES (3)")
        assert refused["code"] == "statement_denied"
    deleted = run_program(tmp_path, "user", "delete", "ada", **environment)
    assert (deleted.returncode, deleted.stdout) == (0, "user ada: deleted\n"), deleted.stderr
    assert not (tmp_path / "postgres").exists(), "nothing was embedded"


def test_a_server_for_agents_does_not_migrate_an_operators_database(
    environment: dict[str, str], tmp_path: Path
) -> None:
    refused = run_program(tmp_path, "mcp", "--workspace", "research", **environment)
    assert refused.returncode == 1
    assert "error schema_incomplete" in refused.stderr
    assert "agentdb migrate" in refused.stderr
    assert refused.stdout == ""


def test_a_key_must_be_given(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["NEON_CONNECTION_ENCRYPTION_KEY"]
    refused = run_program(tmp_path, "migrate", **environment)
    assert refused.returncode == 1
    assert "error encryption_key_missing" in refused.stderr
    assert "openssl rand -hex 32" in refused.stderr
