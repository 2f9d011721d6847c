"""Which account serves the data, and where the data lies so that this account reaches it."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.providers.binaries import MACHINE_FOLDER, find_binaries, inspect_binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.home import Home
from agentdb_mcp.providers.service_user import ServiceUser
from support.members import clear_home, embedded_home
from support.postgres import connected, run_sql

AS_AN_ACCOUNT = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from agentdb_mcp import dsn
from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres

async def serve(home, binaries=None):
    server = await EmbeddedPostgres.open(Path(home), binaries=binaries)
    connection = await asyncpg.connect(**dsn.arguments(server.control_uri.reveal()))
    print(await connection.fetchval("SELECT current_user"), EmbeddedPostgres.status(Path(home)).running.pid)
    await connection.close()
    pid = EmbeddedPostgres.status(Path(home)).running.pid
    print(os.stat(f"/proc/{pid}").st_uid if os.path.isdir("/proc") else os.geteuid())
    await server.close()

warm, home, folder, major, uid, gid = sys.argv[1:]
# Loads what is loaded late: the interpreter itself may lie where the account cannot read.
asyncio.run(serve(warm))
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
asyncio.run(serve(home, Binaries(Path(folder), int(major))))
"""


@pytest.fixture
def closed_home() -> Iterator[Path]:
    """A home under a folder that only this account enters, as pytest's tmp_path is."""
    parent = Path(tempfile.mkdtemp(prefix="agentdb-closed-", dir="/tmp"))
    home = parent / "home"
    yield home
    if home.exists():
        clear_home(home)
    parent.rmdir()


def modes(*folders: Path) -> list[int]:
    return [stat.S_IMODE(folder.stat().st_mode) for folder in folders]


async def test_a_home_under_a_closed_folder_works_and_no_mode_is_loosened(closed_home: Path) -> None:
    server = await EmbeddedPostgres.open(closed_home)
    place = Home(closed_home).place
    assert modes(closed_home.parent, closed_home, closed_home / "postgres.d") == [0o700] * 3
    assert (place / "data").stat().st_uid == ServiceUser.choose().uid != 0
    if os.geteuid() == 0:
        assert place.is_relative_to(MACHINE_FOLDER / "clusters")
        assert (closed_home / "postgres").is_symlink()
        assert modes(place, place / "data") == [0o711, 0o700]
    await server.close()


async def test_the_status_names_where_the_data_lies_and_the_documented_removal_leaves_nothing(
    closed_home: Path,
) -> None:
    server = await EmbeddedPostgres.open(closed_home)
    status = EmbeddedPostgres.status(closed_home)
    assert status is not None
    assert not status.data.is_symlink()
    assert status.data == status.data.resolve()
    assert (status.data / "PG_VERSION").is_file()
    await server.close()
    subprocess.run(["sh", "-euc", _documented_removal()], env={"AGENTDB_HOME": str(closed_home)}, check=True)
    assert not closed_home.exists()
    assert not status.data.parent.exists()


def _documented_removal() -> str:
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    return next(line for line in page.read_text().splitlines() if line.startswith("rm -rf"))


async def test_a_moved_home_keeps_its_data_and_a_new_one_in_its_place_starts_empty(closed_home: Path) -> None:
    first = await EmbeddedPostgres.open(closed_home)
    await run_sql(first.control_uri, "CREATE TABLE kept AS SELECT 42 AS answer")
    await first.close()
    moved = closed_home.rename(closed_home.with_name("moved"))

    second = await EmbeddedPostgres.open(closed_home)
    async with connected(second.control_uri) as control:
        assert await control.fetchval("SELECT to_regclass('kept')") is None
    await second.close()

    first = await EmbeddedPostgres.open(moved)
    async with connected(first.control_uri) as control:
        assert await control.fetchval("SELECT answer FROM kept") == 42
    await first.close()
    clear_home(moved)


async def test_a_strict_umask_does_not_lock_the_server_out() -> None:
    before = os.umask(0o077)
    try:
        with embedded_home() as home:
            server = await EmbeddedPostgres.open(home)
            await server.close()
            assert (home / "postgres" / "data" / "PG_VERSION").is_file()
    finally:
        os.umask(before)


def test_data_of_root_or_of_a_stranger_is_nobodys_to_serve(tmp_path: Path) -> None:
    theirs = tmp_path if os.geteuid() == 0 else Path("/")
    with pytest.raises(Misconfigured, match="belongs to another account") as refused:
        ServiceUser.owning(theirs)
    assert refused.value.code == "data_directory_invalid"


if os.geteuid() == 0:  # only root can be somebody else

    def test_a_normal_user_serves_its_own_data() -> None:
        account = pwd.getpwnam("nobody")
        service = ServiceUser(account.pw_uid, account.pw_gid, stepped_down=True)
        binaries = find_binaries(service)
        with embedded_home() as warm, embedded_home() as home:
            service.give(home)
            places = map(str, (warm, home, binaries.folder, binaries.major, account.pw_uid, account.pw_gid))
            done = subprocess.run(
                [sys.executable, "-c", AS_AN_ACCOUNT, *places],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            lines = done.stdout.splitlines()
            assert [line.split()[0] for line in lines[::2]] == ["agentdb_control"] * 2
            assert lines[3] == str(account.pw_uid)
            assert (home / "postgres" / "data").stat().st_uid == account.pw_uid
            assert modes(home / "postgres", home / "postgres.d") == [0o700, 0o700]

    def test_programs_that_the_servers_account_cannot_reach_are_copied_with_their_layout() -> None:
        service = ServiceUser.choose()
        found = find_binaries(service)
        hidden = Path(tempfile.mkdtemp(prefix="agentdb-hidden-", dir="/tmp"))  # mode 0700
        package = found.folder.parents[1]
        shutil.copytree(package, hidden / package.name)
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, hidden / libraries.name)
        folder = hidden / package.name / found.folder.parent.name / found.folder.name
        copied = inspect_binaries(folder, service)
        assert copied is not None
        assert copied.major == found.major
        assert copied.folder.is_relative_to(MACHINE_FOLDER / "binaries")
        assert inspect_binaries(folder, service) == copied, "a second time finds the copy"
        assert modes(hidden) == [0o700]
        version = subprocess.run([copied.initdb, "--version"], capture_output=True, text=True, check=True,
                                 **service.process_arguments())  # fmt: skip
        assert f" {found.major}." in version.stdout
        shutil.rmtree(hidden)
        shutil.rmtree(copied.folder.parents[2])
