"""The trail as an operator meets it: through the real server and the real commands."""

import json
import re
import signal
from pathlib import Path

from agentdb_mcp.store.audit import _OWNER_FILE
from support.commands import Cli
from support.hosts import Host

ROOT = Path(__file__).parents[2]
CANARY = "canary-a7d1"


def exported(agentdb: Cli, user: str, *more: str) -> list[dict[str, object]]:
    done = agentdb("audit", "export", "--user", user, *more)
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_an_agent_did_is_recorded_verified_and_exported(
    home: Path, agentdb: Cli, user: str, workspace: str
) -> None:
    with Host(home, "--workspace", workspace) as host:
        host.call("execute_ddl", sql="CREATE TABLE notes (body text)")
        host.call("execute", sql="INSERT INTO notes VALUES ($1)", params=[CANARY])
        host.rows(f"SELECT * FROM notes WHERE body = '{CANARY}'")
        host.error("query", sql=f"SELECT pg_read_file('{CANARY}')")
        host.call("list_tables")
        host.process.send_signal(signal.SIGTERM)
        host.process.wait(30)
    found = exported(agentdb, user)
    assert [(each["seq"], each["actor"], each["tool"], each["outcome"]) for each in found] == [
        (1, "operator", "register_user", "ok"),
        (2, "operator", "create_workspace", "ok"),
        (3, "agent", "execute_ddl", "ok"),
        (4, "agent", "execute", "ok"),
        (5, "agent", "query", "ok"),
        (6, "agent", "query", "statement_denied"),
        (7, "agent", "list_tables", "ok"),
    ]
    assert exported(agentdb, user, "--since", "2999-01-01") == []

    verified = agentdb("audit", "verify", "--user", user, "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    head = json.loads(verified.stdout)["head"]
    assert head == f"7:{found[-1]['hash']}"
    assert agentdb("audit", "verify", "--user", user, "--expect", head).returncode == 0
    other = agentdb("audit", "verify", "--user", user, "--expect", f"3:{'0' * 64}")
    assert other.returncode == 1
    assert "record 3 is not the one whose hash was kept" in other.stdout
    assert agentdb("audit", "prune", "--days", "1").stdout == "pruned: 0 records\n"
    assert "bad_argument" in agentdb("audit", "verify", "--user", user, "--expect", "x").stderr
    assert "user_not_found" in agentdb("audit", "verify", "--user", "nobody").stderr


def test_a_killed_server_loses_at_most_its_last_batch_and_the_chain_holds(
    home: Path, agentdb: Cli, user: str, workspace: str
) -> None:
    with Host(home, "--workspace", workspace) as host:
        for _ in range(40):
            host.rows("SELECT 1")
        host.process.kill()
        host.process.wait(30)
    outcomes = [each["outcome"] for each in exported(agentdb, user)]
    assert 2 <= len(outcomes) <= 42
    assert set(outcomes) == {"ok"}
    assert agentdb("audit", "verify", "--user", user).returncode == 0


def test_the_script_for_a_server_of_ones_own_is_the_one_that_is_run_and_tested() -> None:
    page = (ROOT / "docs/explanation/audit.md").read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert _OWNER_FILE.read_text().endswith(block)
