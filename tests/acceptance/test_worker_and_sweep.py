"""The processes an operator leaves running, and the search for orphans, by their commands."""

import asyncio
import json
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentdb_mcp.app import open_app
from agentdb_mcp.core.databases import Lease
from agentdb_mcp.core.ids import DatabaseId, UserId
from agentdb_mcp.settings import Settings
from support.commands import Cli, environment
from support.hosts import command


@contextmanager
def worker(home: Path, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A running `agentdb worker`, which ends by SIGTERM with exit code 0 and nothing said."""
    with subprocess.Popen(
        command("worker"),
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "working\n"
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@contextmanager
def under_way(home: Path, user: UserId) -> Iterator[None]:
    """A process that is at a user's database, which is not made yet."""

    async def claim() -> tuple[DatabaseId, Lease]:
        async with open_app(settings) as app:
            wanted = (await app.store.register_user(user, plan=None, provider="local")).database.id
            claimed = await app.store.claim_one(wanted, seconds=600)
            assert claimed is not None
            return wanted, claimed[1]

    async def release(database: DatabaseId, lease: Lease) -> None:
        async with open_app(settings) as app:
            assert await app.store.release(database, lease)

    settings = Settings.model_validate({"AGENTDB_HOME": home})
    held = asyncio.run(claim())
    try:
        yield
    finally:
        asyncio.run(release(*held))


def test_commands_work_beside_two_workers_which_end_when_told_to(home: Path, agentdb: Cli, user: str) -> None:
    place = f"workspace-{uuid.uuid4().hex[:8]}"
    with worker(home), worker(home):
        made = agentdb("workspace", "create", place, "--user", user, "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["pending"] is None
        paused = agentdb("database", "pause", json.loads(made.stdout)["id"], "--json")
        assert json.loads(paused.stdout)["observed"] == "paused"


def test_a_sweep_that_finds_nothing_says_so(agentdb: Cli, user: str) -> None:
    for arguments in ((), ("--dry-run",)):
        swept = agentdb("sweep", *arguments)
        assert (swept.returncode, swept.stdout) == (0, "no orphans\n"), swept.stderr
    answer = json.loads(agentdb("sweep", "--json").stdout)
    assert answer == {"findings": [], "unjudged": [], "dry_run": False, "failed": {}, "under_way": 0}


def test_a_sweep_and_a_reconcile_say_alike_that_another_process_is_at_work(home: Path, agentdb: Cli) -> None:
    words = "1 under way in another process; if that died, run this again in 15 s\n"
    with under_way(home, UserId(f"user-{uuid.uuid4().hex[:8]}")):
        for command_line, head in (
            ("sweep", "no orphans\n"),
            ("reconcile", "reconciled: 0 done, 0 failed\n"),
        ):
            said = agentdb(command_line)
            assert (said.returncode, said.stdout) == (1, head + words), said.stderr
        assert agentdb("sweep", "--dry-run").returncode == 0, "that looks for orphans only"
    swept = agentdb("sweep")
    assert (swept.returncode, swept.stdout) == (0, "no orphans\n"), swept.stderr


def test_a_change_of_plan_is_made_by_a_command(agentdb: Cli, user: str) -> None:
    for _ in range(2):
        changed = agentdb("user", "plan", user, "team", "--json")
        assert json.loads(changed.stdout) == {"plan": "team", "waiting": 0}, changed.stderr
    refused = agentdb("user", "plan", user, "platinum")
    assert (refused.returncode, "free, pro, team, enterprise" in refused.stderr) == (1, True)
    assert "user_not_found" in agentdb("user", "plan", "nobody-there", "pro").stderr


def test_a_doctor_that_finds_nothing_says_so(agentdb: Cli, user: str) -> None:
    examined = agentdb("doctor")
    assert (examined.returncode, examined.stdout) == (0, "nothing is wrong\n"), examined.stderr


def test_a_doctor_names_what_cannot_be_opened_and_what_helps(agentdb: Cli, user: str) -> None:
    examined = agentdb("doctor", NEON_CONNECTION_ENCRYPTION_KEY="0" * 64)
    assert examined.returncode == 1
    assert "encryption_key_unknown" in examined.stdout
    assert "agentdb database mend" in examined.stdout
