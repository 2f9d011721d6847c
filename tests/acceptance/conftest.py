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

ROOT = Path(__file__).parents[2]


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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built through an sdist, as an index would: a symlink in src/ would lose files on that way."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", sdist, "-C", folder], check=True, timeout=60)
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=unpacked, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made
