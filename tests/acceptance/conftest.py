"""One home with its own embedded Postgres for all journeys of a run; every journey makes its own users."""

import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import KEEPER, Cli, run_agentdb


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="agentdb-test-"))
    folder.chmod(0o711)
    # A member that stays for the whole run: the server is not stopped after each command.
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "open\n"
    yield folder
    keeper.stdin.close()
    keeper.stdout.close()
    assert keeper.wait(60) == 0
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def agentdb(home: Path) -> Cli:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_agentdb(home, *arguments, **environment)

    return run


@pytest.fixture
def user(agentdb: Cli) -> str:
    name = f"user-{uuid.uuid4().hex[:8]}"
    made = agentdb("user", "create", name)
    assert made.returncode == 0, made.stderr
    return name


@pytest.fixture
def workspace(agentdb: Cli, user: str) -> str:
    name = f"workspace-{uuid.uuid4().hex[:8]}"
    made = agentdb("workspace", "create", name, "--user", user)
    assert made.returncode == 0, made.stderr
    return name
