"""The whole way with Neon: an operator's commands, an agent's server, and a stand-in for Neon as a process."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.commands import run_agentdb
from support.hosts import Host


@pytest.fixture(scope="module")
def neon() -> Iterator[dict[str, str]]:
    """What an operator sets."""
    command = [sys.executable, "-m", "agentdb_mcp.fake_neon"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, key = process.stdout.readline().split()
        yield {"AGENTDB_PROVIDER": "neon", "NEON_API_KEY": key, "AGENTDB_NEON_API_URL": url}
        process.terminate()


def projects(neon: dict[str, str]) -> set[str]:
    headers = {"Authorization": f"Bearer {neon['NEON_API_KEY']}"}
    answer = httpx.get(f"{neon['AGENTDB_NEON_API_URL']}/projects?limit=400", headers=headers, trust_env=False)
    return {project["name"] for project in answer.json()["projects"]}


def test_an_agent_works_on_its_own_neon_project_until_it_is_deleted(home: Path, neon: dict[str, str]) -> None:
    user, place = f"ada-{uuid.uuid4().hex[:8]}", f"atelier-{uuid.uuid4().hex[:8]}"

    def agentdb(*arguments: str) -> str:
        done = run_agentdb(home, *arguments, **neon)
        assert done.returncode == 0, done.stderr
        assert "postgresql://" not in done.stdout + done.stderr
        return done.stdout

    agentdb("user", "create", user)
    agentdb("workspace", "create", place, "--user", user)
    rows = [json.loads(line) for line in agentdb("database", "list", "--user", user, "--json").splitlines()]
    names = {name for name in projects(neon) if any(row["id"] in name for row in rows)}
    (mark,) = {name.split("-")[1] for name in names}
    assert re.fullmatch("[0-9a-f]{8}", mark), "which tells installations apart"
    assert names == {f"agentdb-{mark}-{row['kind']}-{row['id']}" for row in rows}
    (agent,) = [row["id"] for row in rows if row["kind"] == "agent"]

    # The agent's server has no key, and needs none.
    with Host(home, "--workspace", place, AGENTDB_PROVIDER="neon") as host:
        host.call("execute_ddl", sql="CREATE TABLE notes (id int PRIMARY KEY, body text)")
        host.call("execute", sql="INSERT INTO notes VALUES (1, 'kept at Neon')")
        assert "kept at Neon" in json.dumps(host.call("query", sql="SELECT body FROM notes"))
        agentdb("database", "pause", agent)
        refused = host.call("query", sql="SELECT body FROM notes")
        assert "paused" in json.dumps(refused)
        assert "archived" in agentdb("workspace", "archive", place, "--user", user)
        agentdb("database", "resume", agent)
        assert "archived" in json.dumps(host.call("query", sql="SELECT body FROM notes"))
        agentdb("workspace", "restore", place, "--user", user)
        assert "kept at Neon" in json.dumps(host.call("query", sql="SELECT body FROM notes"))
        agentdb("database", "protect", agent)
        protected = run_agentdb(home, "workspace", "delete", place, "--user", user, **neon)
        assert (protected.returncode, "error database_protected" in protected.stderr) == (1, True)
        agentdb("database", "unprotect", agent)
        deleted = agentdb("workspace", "delete", place, "--user", user)
        assert f"agentdb database undelete {agent}" in deleted
        assert "forbidden" in json.dumps(host.call("query", sql="SELECT body FROM notes"))
        agentdb("database", "undelete", agent)
        assert "kept at Neon" in json.dumps(host.call("query", sql="SELECT body FROM notes"))
        assert "NEON_API_KEY" not in host.stderr

    agentdb("user", "delete", user)
    assert not names & projects(neon)


def test_neon_without_a_key_is_refused_before_anything_is_made(home: Path) -> None:
    done = run_agentdb(home, "user", "create", "nobody", AGENTDB_PROVIDER="neon")
    assert done.returncode == 1
    assert "settings_invalid" in done.stderr
    assert "NEON_API_KEY is not set" in done.stderr


def test_an_agents_server_that_was_given_the_key_says_so(home: Path, neon: dict[str, str]) -> None:
    user = f"ben-{uuid.uuid4().hex[:8]}"
    for arguments in (("user", "create", user), ("workspace", "create", user, "--user", user)):
        assert run_agentdb(home, *arguments).returncode == 0
    with Host(home, "--workspace", user, **neon) as host:
        assert "NEON_API_KEY is set for a server of agents" in host.stderr
        assert neon["NEON_API_KEY"] not in host.stderr


def test_the_story_of_the_demo_holds_on_neon_too(tmp_path: Path) -> None:
    done = run_agentdb(tmp_path, "demo", "--neon")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed" in done.stdout
    assert "no project is left that costs money" in done.stdout


def test_databases_are_taken_over_by_a_command_that_repeats_no_value(home: Path, tmp_path: Path) -> None:
    user, file = f"eve-{uuid.uuid4().hex[:8]}", tmp_path / "lines.jsonl"
    secret = "postgresql://owner:hunter2@127.0.0.1:1/theirs?sslmode=disable"
    lines: list[dict[str, object]] = [
        {"user_id": user, "neon_project_id": "p-1"},
        {"user_id": user, "neon_connection_uri": secret},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    tried = run_agentdb(home, "import", str(file), "--dry-run")
    assert tried.returncode == 1
    assert tried.stdout == f"line 2: user {user}: can be read\n"
    assert "line 1: error settings_invalid: A Neon project" in tried.stderr
    done = run_agentdb(home, "import", str(file))
    assert done.returncode == 1
    assert "line 2: error provider_unavailable: The database cannot be reached." in done.stderr
    assert "hunter2" not in tried.stdout + tried.stderr + done.stdout + done.stderr
    listed = run_agentdb(home, "database", "list", "--user", user, "--json")
    assert json.loads(listed.stdout)["provider"] == "external"
    assert run_agentdb(home, "user", "delete", user).returncode == 0
