"""What crashes, full disks and strangers leave behind is mended, or refused in words; never guessed at."""

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.providers import postmaster
from agentdb_mcp.providers.binaries import Binaries, find_binaries
from agentdb_mcp.providers.cluster import Passwords
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.home import Home, Secrets
from agentdb_mcp.providers.postmaster import _is_free
from agentdb_mcp.providers.service_user import ServiceUser
from support.members import Member, embedded_home
from support.postgres import connected
from support.waiting import until


@pytest.fixture
def new_home() -> Iterator[Path]:
    with embedded_home() as home:
        yield home


@pytest.fixture(scope="module")
def settled_home() -> Iterator[Path]:
    """A home with data, whose server was stopped in order."""
    with embedded_home() as home, Member(home) as member:
        member.joined()
        member.leave()
        yield home


@pytest.fixture
def home(settled_home: Path) -> Iterator[Path]:
    yield settled_home
    EmbeddedPostgres.stop(settled_home)


async def serves(home: Path) -> bool:
    server = await EmbeddedPostgres.open(home)
    async with connected(server.control_uri) as control:
        answer = await control.fetchval("SELECT 1")
    await server.close()
    return answer == 1


@contextmanager
def a_living_process() -> Iterator[int]:
    """Of the account that the server runs as, so that PostgreSQL itself would take it for its own."""
    with subprocess.Popen(["sleep", "600"], **ServiceUser.choose().process_arguments()) as process:
        yield process.pid
        process.kill()


@contextmanager
def a_zombie() -> Iterator[int]:
    with subprocess.Popen(["true"], **ServiceUser.choose().process_arguments()) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


@contextmanager
def a_dead_process() -> Iterator[int]:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        yield process.pid


@pytest.mark.parametrize("somebody", [a_living_process, a_zombie, a_dead_process])
async def test_a_pid_file_that_names_somebody_else_is_not_believed(home: Path, somebody) -> None:
    data = Home(home).place / "data"
    with somebody() as pid:
        lines = [pid, data, 1700000000, 20000, "", "127.0.0.1", "  1 2", "ready   "]
        (data / "postmaster.pid").write_text("\n".join(map(str, lines)) + "\n")
        assert EmbeddedPostgres.status(home).running is None
        assert await serves(home)


@pytest.mark.parametrize("content", ["", "garbage\n", "1\n"])
async def test_a_broken_pid_file_is_replaced(home: Path, content: str) -> None:
    (Home(home).place / "data" / "postmaster.pid").write_text(content)
    assert await serves(home)


async def test_another_program_on_the_port_moves_the_server_to_a_new_one(home: Path) -> None:
    port = Home(home).read_secrets().port
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        assert await serves(home)
        assert Home(home).read_secrets().port != port
    assert await serves(home)


async def test_an_initialisation_that_was_killed_half_way_is_done_again(new_home: Path) -> None:
    with Member(new_home, start_new_session=True) as member:

        async def half_way() -> bool:
            return any((new_home / "postgres").glob("data.new*/base/1"))

        await until(half_way)
        os.killpg(member.process.pid, signal.SIGKILL)
        member.process.wait(60)
    assert not (new_home / "postgres" / "data").exists()
    assert await serves(new_home)
    assert not list((new_home / "postgres").glob("data.new*"))


async def test_a_kill_of_the_starter_alone_leaves_its_initdb_running_and_does_no_harm(new_home: Path) -> None:
    with Member(new_home) as member:

        async def begun() -> bool:
            return any((new_home / "postgres").glob("data.new*/*"))

        await until(begun)
        member.kill()
    assert await serves(new_home)


@pytest.mark.parametrize("missing", ["global/pg_control", "PG_VERSION"])
async def test_an_incomplete_data_directory_is_refused_and_left_alone(new_home: Path, missing: str) -> None:
    data = new_home / "postgres" / "data"
    for name in {"global/pg_control", "PG_VERSION"} - {missing}:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("18\n")
    with pytest.raises(Misconfigured) as refused:
        await EmbeddedPostgres.open(new_home)
    assert refused.value.code == "data_directory_invalid"
    assert str(data) in refused.value.message
    assert data.exists()


async def test_data_of_a_version_without_programs_is_refused_by_its_number(new_home: Path) -> None:
    data = new_home / "postgres" / "data"
    (data / "global").mkdir(parents=True)
    (data / "global" / "pg_control").touch()
    (data / "PG_VERSION").write_text("9\n")
    account = ServiceUser.choose()
    account.give(data)
    Home(new_home).make()
    Home(new_home).write_secrets(Secrets(Passwords("unused", "unused"), None))
    with pytest.raises(Misconfigured, match="PostgreSQL 9") as refused:
        await EmbeddedPostgres.open(new_home)
    assert refused.value.code == "postgres_binaries_missing"


async def test_lost_passwords_are_said_to_be_lost(home: Path) -> None:
    secrets = Home(home).files / "secrets.json"
    kept = secrets.rename(secrets.with_suffix(".kept"))
    with pytest.raises(Misconfigured, match="passwords are missing") as refused:
        await EmbeddedPostgres.open(home)
    assert refused.value.code == "data_directory_invalid"
    kept.rename(secrets)
    assert await serves(home)


async def test_a_link_to_data_that_is_gone_is_not_taken_for_an_empty_home(new_home: Path) -> None:
    (new_home / "postgres").symlink_to(new_home / "gone")
    with pytest.raises(Misconfigured, match="points to a folder that is gone"):
        await EmbeddedPostgres.open(new_home)
    (new_home / "postgres").unlink()


async def test_a_home_that_is_a_file_is_refused(new_home: Path) -> None:
    file = new_home / "file"
    file.touch()
    with pytest.raises(Misconfigured, match="cannot use") as refused:
        await EmbeddedPostgres.open(file)
    assert refused.value.code == "data_directory_invalid"


def programs(folder: Path, **scripts: str) -> Binaries:
    """Programs that end as the system's would on a bad day."""
    folder.mkdir(mode=0o755)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return Binaries(folder, 18)


async def test_a_full_disk_while_making_the_data_is_named(new_home: Path) -> None:
    full = programs(new_home / "bin", initdb='echo "could not write: No space left on device" >&2; exit 1')
    with pytest.raises(Misconfigured, match="No space left on device"):
        await EmbeddedPostgres.open(new_home, binaries=full)
    assert not (new_home / "postgres" / "data").exists()
    assert await serves(new_home)


async def test_a_full_disk_at_a_start_is_named(home: Path) -> None:
    folder = home / "full"
    full = programs(folder, postgres='echo "FATAL: could not write: No space left on device" >&2; exit 1')
    with pytest.raises(Unavailable, match="No space left on device"):
        await EmbeddedPostgres.open(home, binaries=full)
    assert await serves(home)


async def test_a_server_that_does_not_start_names_its_log(home: Path) -> None:
    folder = home / "broken"
    broken = programs(folder, postgres='echo "PANIC: could not locate a valid checkpoint record" >&2; exit 1')
    with pytest.raises(Misconfigured) as refused:
        await EmbeddedPostgres.open(home, binaries=broken)
    log = EmbeddedPostgres.status(home).log
    assert str(log) in refused.value.hint
    assert "checkpoint record" in log.read_text()


async def test_a_failed_opening_counts_as_no_user(home: Path) -> None:
    broken = programs(home / "failing", postgres="exit 1")
    with pytest.raises(Misconfigured):
        await EmbeddedPostgres.open(home, binaries=broken)
    assert await serves(home)
    assert EmbeddedPostgres.status(home).running is None


def test_programs_that_are_nowhere_are_missed_in_words() -> None:
    with pytest.raises(Misconfigured, match="No programs of PostgreSQL 99 were found") as refused:
        find_binaries(ServiceUser.choose(), major=99)
    assert refused.value.code == "postgres_binaries_missing"


async def test_a_process_of_the_server_runs_out_of_memory_before_the_machine_does(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "MOST_MEMORY_KB", 200_000)
    server = await EmbeddedPostgres.open(home)
    async with connected(server.admin_uri) as admin:
        with pytest.raises(asyncpg.OutOfMemoryError):
            await admin.execute("SELECT length(repeat('x', 300000000))")
        assert await admin.fetchval("SELECT length(repeat('x', 1000000))") == 1_000_000
    await server.close()


async def test_a_log_that_grew_is_cut_at_the_next_start(home: Path) -> None:
    log = Home(home).place / "server.log"
    log.write_bytes(b"x" * 6_000_000)
    assert await serves(home)
    assert log.stat().st_size < 100_000
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_a_log_that_grew_is_cut_by_whoever_joins_and_the_server_writes_on(home: Path) -> None:
    log = Home(home).place / "server.log"
    first = await EmbeddedPostgres.open(home)
    with log.open("ab") as file:
        file.write(b"x" * 6_000_000)
    second = await EmbeddedPostgres.open(home)
    assert log.stat().st_size < 100_000
    async with connected(second.admin_uri) as admin:
        backend = await admin.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await admin.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert f"[{backend}] FATAL" in log.read_text()
    await second.close()
    await first.close()


async def test_a_port_taken_between_look_and_start_is_exchanged(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Home(home).read_secrets().port
    looked: list[int] = []

    def free_at_first_sight(asked: int) -> bool:
        looked.append(asked)
        return len(looked) == 1 or _is_free(asked)

    monkeypatch.setattr(postmaster, "_is_free", free_at_first_sight)
    with socket.create_server(("127.0.0.1", port)):
        assert await serves(home)
    assert looked[0] == port
    assert Home(home).read_secrets().port != port
