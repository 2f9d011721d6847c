"""Hosts and operators drive lives of databases by commands: twice, or twice at once, is once."""

import json
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.commands import Cli, run_agentdb


def listed(agentdb: Cli, user: str) -> list[dict[str, Any]]:
    answer = agentdb("database", "list", "--user", user, "--json")
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_registering_a_user_makes_the_shared_database(agentdb: Cli, user: str) -> None:
    (row,) = listed(agentdb, user)
    assert (row["kind"], row["wanted"], row["observed"]) == ("global", "active", "active")


def test_registering_twice_is_registering_once(agentdb: Cli, user: str) -> None:
    again = agentdb("user", "create", user, "--json")
    assert again.returncode == 0, again.stderr
    assert [row["id"] for row in listed(agentdb, user)] == [json.loads(again.stdout)["id"]]


def test_creating_a_workspace_four_times_at_once_is_creating_it_once(agentdb: Cli, user: str) -> None:
    name = f"workspace-{uuid.uuid4().hex[:8]}"
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(lambda _: agentdb("workspace", "create", name, "--user", user, "--json"), range(4))
        )
    assert [answer.returncode for answer in answers] == [0, 0, 0, 0], [answer.stderr for answer in answers]
    assert len({json.loads(answer.stdout)["id"] for answer in answers}) == 1
    assert [row["kind"] for row in listed(agentdb, user)].count("agent") == 1


def test_deleting_a_workspace_deletes_its_database_and_leaves_a_tombstone(
    agentdb: Cli, user: str, workspace: str
) -> None:
    for _ in range(2):
        deleted = agentdb("workspace", "delete", workspace, "--user", user)
        assert deleted.returncode == 0, deleted.stderr
    (row,) = [row for row in listed(agentdb, user) if row["kind"] == "agent"]
    assert (row["wanted"], row["observed"]) == ("deleted", "deleted")


def test_deleting_a_user_deletes_every_database(agentdb: Cli, user: str, workspace: str) -> None:
    deleted = agentdb("user", "delete", user)
    assert deleted.returncode == 0, deleted.stderr
    assert {(row["kind"], row["observed"]) for row in listed(agentdb, user)} == {
        ("agent", "deleted"),
        ("global", "deleted"),
    }
    assert agentdb("user", "delete", user).returncode == 0


def test_a_workspace_of_another_user_is_neither_created_nor_deleted(
    agentdb: Cli, user: str, workspace: str
) -> None:
    stranger = f"user-{uuid.uuid4().hex[:8]}"
    assert agentdb("user", "create", stranger).returncode == 0
    for verb in ("create", "delete"):
        refused = agentdb("workspace", verb, workspace, "--user", stranger)
        assert refused.returncode == 1
        assert "error forbidden" in refused.stderr
    assert [row["observed"] for row in listed(agentdb, user)] == ["active", "active"]


def test_a_workspace_needs_a_registered_user(agentdb: Cli) -> None:
    refused = agentdb("workspace", "create", "w", "--user", "nobody-registered")
    assert refused.returncode == 1
    assert "error user_not_found" in refused.stderr
    assert "agentdb user create" in refused.stderr


def test_an_unknown_plan_is_refused_with_the_plans_there_are(agentdb: Cli) -> None:
    refused = agentdb("user", "create", "u", "--plan", "platinum")
    assert refused.returncode == 1
    assert "free, pro, team, enterprise" in refused.stderr


def test_a_pause_and_a_resume_are_seen_in_the_list(agentdb: Cli, user: str, workspace: str) -> None:
    (row,) = [row for row in listed(agentdb, user) if row["workspace"] == workspace]
    assert agentdb("database", "pause", row["id"]).returncode == 0
    assert agentdb("database", "pause", row["id"]).returncode == 0
    (paused,) = [row for row in listed(agentdb, user) if row["workspace"] == workspace]
    assert (paused["wanted"], paused["observed"]) == ("paused", "paused")
    assert agentdb("database", "resume", row["id"]).returncode == 0
    (resumed,) = [row for row in listed(agentdb, user) if row["workspace"] == workspace]
    assert (resumed["wanted"], resumed["observed"]) == ("active", "active")


def test_reconcile_with_nothing_to_do_says_so(agentdb: Cli, user: str) -> None:
    answer = agentdb("reconcile")
    assert (answer.returncode, answer.stdout) == (0, "reconciled: 0 done, 0 failed\n")


def test_migrate_says_what_it_did_and_that_nothing_is_left(agentdb: Cli, user: str) -> None:
    assert agentdb("migrate").stdout == "nothing to do: the schema is current\n"


@pytest.mark.parametrize(
    "arguments", [["mcp", "--workspace", "w", "--database-url", "postgresql://u:hunter2@h/d"]]
)
def test_a_literal_url_is_refused_with_the_reason_and_never_repeated(
    agentdb: Cli, arguments: list[str]
) -> None:
    refused = agentdb(*arguments)
    assert refused.returncode == 1
    assert "a reference, not a URL" in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout


def test_an_unknown_setting_is_refused_by_name(agentdb: Cli) -> None:
    refused = agentdb("migrate", AGENTDB_MAX_ROW="5")
    assert refused.returncode == 1
    assert "AGENTDB_MAX_ROWS" in refused.stderr


def test_a_malformed_key_is_refused_without_being_repeated(agentdb: Cli, user: str) -> None:
    refused = agentdb("database", "list", NEON_CONNECTION_ENCRYPTION_KEY="abc-not-hex")
    assert refused.returncode == 1
    assert "error encryption_key_malformed" in refused.stderr
    assert "abc-not-hex" not in refused.stderr


def test_an_unreachable_control_plane_is_a_clear_error(tmp_path: Path) -> None:
    refused = run_agentdb(
        tmp_path,
        "database",
        "list",
        AGENTDB_CONTROL_URL="postgresql://u:hunter2@127.0.0.1:9/none",
        NEON_CONNECTION_ENCRYPTION_KEY="0" * 64,
    )
    assert refused.returncode == 1
    assert "error control_plane_unavailable" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_both_console_scripts_are_the_same_program(agentdb: Cli) -> None:
    for name in ("agentdb", "agentdb-mcp"):
        script = Path(sys.executable).with_name(name)
        said = subprocess.run([script, "version"], capture_output=True, text=True, check=True, timeout=60)
        assert said.stdout == agentdb("version").stdout


def test_a_command_with_a_key_counts_once_however_late_it_is_repeated(agentdb: Cli, user: str) -> None:
    place, key = f"place-{user}", f"key-{user}"
    create = ("workspace", "create", place, "--user", user, "--idempotency-key", key)
    first = agentdb(*create)
    assert first.returncode == 0, first.stderr
    assert agentdb("workspace", "delete", place, "--user", user).returncode == 0
    again = agentdb(*create)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    rows = [
        json.loads(line) for line in agentdb("database", "list", "--user", user, "--json").stdout.splitlines()
    ]
    assert [row["wanted"] for row in rows if row["workspace"] == place] == ["deleted"]
    other = agentdb("workspace", "create", place + "-2", "--user", user, "--idempotency-key", key)
    assert other.returncode == 1
    assert "error idempotency_conflict" in other.stderr
