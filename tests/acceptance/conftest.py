"""One home with its own embedded Postgres for all journeys of a run; every journey makes its own users."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from agentdb_mcp.app import open_app
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.tokens import Scope
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.settings import Settings
from support.commands import Cli, run_agentdb
from support.gateways import Gateway
from support.members import throwaway_place
from support.postgres import HASTY, run_sql

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="agentdb-test-", dir=throwaway_place()))
    folder.chmod(0o711)
    # A member that stays for the whole run: the server is not stopped after each command.
    keeper = asyncio.run(EmbeddedPostgres.open(folder))
    asyncio.run(run_sql(keeper.admin_uri, *HASTY))
    yield folder
    asyncio.run(keeper.close())
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


@dataclass(frozen=True)
class Served:
    """A gateway, and tokens for it: two agents' of different users, and some that are good for nothing here."""

    gateway: Gateway
    home: Path
    ada: str
    ben: str
    host: str
    expired: str


@pytest.fixture(scope="session")
def served(home: Path) -> Iterator[Served]:
    tokens = asyncio.run(_tokens(home))
    generous = {"AGENTDB_MAX_RESULT_TOKENS": "1000000", "AGENTDB_MAX_CELL_CHARS": "1000000"}
    with Gateway(home, "--sse", AGENTDB_LOG_LEVEL="debug", **generous) as gateway:
        yield Served(gateway, home, **tokens)
        written = gateway.stderr
        assert "generate_series" not in written, "a statement is in the log"
        assert not [text for text in tokens.values() if text[21:] in written]


async def _tokens(home: Path) -> dict[str, str]:
    async with open_app(Settings.model_validate({"AGENTDB_HOME": home})) as app:
        made = {}
        for name in ("ada", "ben"):
            await app.lifecycle.register_user(UserId(f"http-{name}"))
            workspace = WorkspaceId(f"http-{name}")
            await app.lifecycle.create_workspace(workspace, UserId(f"http-{name}"), name="")
            made[name] = await app.tokens.create_for_agent(workspace)
        made["host"] = await app.tokens.create_for_host([Scope.LIFECYCLE])
        made["expired"] = await app.tokens.create_for_agent(
            WorkspaceId("http-ada"), lifetime=timedelta(seconds=-1)
        )
        return {name: each.text.reveal() for name, each in made.items()}
