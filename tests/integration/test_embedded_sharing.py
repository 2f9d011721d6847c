"""Several processes, one server: it starts with the first, survives any of them, and stops with the last."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.members import Member, embedded_home
from support.postgres import connected, run_sql
from support.waiting import until


@pytest.fixture
def new_home() -> Iterator[Path]:
    with embedded_home() as home:
        yield home


@pytest.fixture(scope="module")
def settled_home() -> Iterator[Path]:
    with embedded_home() as home:
        yield home


@pytest.fixture
def home(settled_home: Path) -> Iterator[Path]:
    """A home whose data may be there already, and whose server does not run."""
    yield settled_home
    EmbeddedPostgres.stop(settled_home)


async def kill(home: Path, how: signal.Signals) -> None:
    """Returns when nothing answers any more; processes of the server may still be there."""
    os.kill(server_pid(home) or 0, how)

    async def gone() -> bool:
        return server_pid(home) is None

    await until(gone)


def server_pid(home: Path) -> int | None:
    status = EmbeddedPostgres.status(home)
    return status.running.pid if status and status.running else None


async def test_an_empty_home_answers_queries(new_home: Path) -> None:
    server = await EmbeddedPostgres.open(new_home)
    async with connected(server.control_uri) as control:
        assert await control.fetchval("SELECT current_user || ' in ' || current_database()") == (
            "agentdb_control in agentdb_control"
        )
    await server.close()


async def test_data_and_port_outlive_a_stop(home: Path) -> None:
    first = await EmbeddedPostgres.open(home)
    await run_sql(first.control_uri, "CREATE TABLE kept_over_a_stop AS SELECT 42 AS answer")
    address = first.control_uri
    await first.close()
    assert server_pid(home) is None

    second = await EmbeddedPostgres.open(home)
    assert second.control_uri == address
    async with connected(second.control_uri) as control:
        assert await control.fetchval("SELECT answer FROM kept_over_a_stop") == 42
    await second.close()


def test_processes_that_open_an_empty_home_at_once_share_one_server(new_home: Path) -> None:
    with ExitStack() as stack:
        members = [stack.enter_context(Member(new_home)) for _ in range(3)]
        assert len({member.joined()["pid"] for member in members}) == 1
        for member in members:
            member.leave()
    assert server_pid(new_home) is None


def test_the_server_stays_while_anybody_uses_it(home: Path) -> None:
    with Member(home) as first, Member(home) as second:
        pid = first.joined()["pid"]
        second.joined()
        first.leave()
        assert server_pid(home) == pid
        second.leave()
    assert server_pid(home) is None


def test_the_server_survives_the_kill_of_the_process_that_started_it(home: Path) -> None:
    with Member(home) as starter:
        pid = starter.joined()["pid"]
        starter.kill()
    with Member(home) as other:
        assert other.joined()["pid"] == pid
        other.leave()
    assert server_pid(home) is None, "a killed process counts as one that left"


def test_the_server_survives_a_kill_of_its_starters_whole_process_group(home: Path) -> None:
    with Member(home, start_new_session=True) as starter:
        pid = starter.joined()["pid"]
        os.killpg(starter.process.pid, signal.SIGKILL)
        starter.process.wait(60)
    with Member(home) as other:
        assert other.joined()["pid"] == pid
        other.leave()


@pytest.mark.parametrize("victim", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT], ids=lambda s: s.name)
async def test_a_dead_server_is_brought_back_by_a_process_that_uses_it(
    home: Path, victim: signal.Signals
) -> None:
    server = await EmbeddedPostgres.open(home)
    await run_sql(server.control_uri, f"CREATE TABLE kept_over_{victim.name} AS SELECT 42 AS answer")
    address, pid = server.control_uri, server_pid(home)
    await kill(home, victim)
    await server.ensure()
    assert server_pid(home) not in (None, pid)
    assert server.control_uri == address
    async with connected(server.control_uri) as control:
        assert await control.fetchval(f"SELECT answer FROM kept_over_{victim.name}") == 42
    await server.close()


def test_a_killed_server_is_brought_back_by_the_next_process(home: Path) -> None:
    with Member(home) as first:
        pid = first.joined()["pid"]
        os.kill(pid, signal.SIGKILL)
        with Member(home) as second:
            assert second.joined()["pid"] != pid
            second.leave()
        first.leave()
    assert server_pid(home) is None


async def test_a_server_killed_in_the_middle_of_a_query_comes_back_once_its_last_process_is_gone(
    home: Path,
) -> None:
    server = await EmbeddedPostgres.open(home)
    async with connected(server.admin_uri) as admin:
        busy = asyncio.ensure_future(admin.execute("SELECT count(*) FROM generate_series(1, 5000000)"))
        await asyncio.sleep(0)
        await kill(home, signal.SIGKILL)
        await server.ensure()
        await asyncio.wait([busy])
    async with connected(server.admin_uri) as admin:
        assert await admin.fetchval("SELECT 1") == 1
    await server.close()


async def test_ensure_leaves_a_healthy_server_alone(home: Path) -> None:
    server = await EmbeddedPostgres.open(home)
    pid = server_pid(home)
    await server.ensure()
    assert server_pid(home) == pid
    await server.close()


async def test_closing_twice_leaves_once(home: Path) -> None:
    first, second = await EmbeddedPostgres.open(home), await EmbeddedPostgres.open(home)
    await first.close()
    await first.close()
    assert server_pid(home) is not None
    await second.close()
    assert server_pid(home) is None


async def test_an_operator_stops_it_whoever_uses_it(home: Path) -> None:
    server = await EmbeddedPostgres.open(home)
    await asyncio.to_thread(EmbeddedPostgres.stop, home)
    assert server_pid(home) is None
    await server.ensure()
    assert server_pid(home) is not None
    await server.close()


async def test_a_cancelled_opening_leaves_nothing_running(new_home: Path) -> None:
    opening = asyncio.ensure_future(EmbeddedPostgres.open(new_home))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert server_pid(new_home) is None
    server = await EmbeddedPostgres.open(new_home)
    assert server_pid(new_home) is not None
    await server.close()


def test_asking_for_the_status_changes_nothing(new_home: Path) -> None:
    assert EmbeddedPostgres.status(new_home) is None
    assert list(new_home.iterdir()) == []
    EmbeddedPostgres.stop(new_home)
    assert list(new_home.iterdir()) == []


async def test_the_status_names_the_data_and_the_log(home: Path) -> None:
    server = await EmbeddedPostgres.open(home)
    status = EmbeddedPostgres.status(home)
    assert status is not None
    assert (status.data / "PG_VERSION").is_file()
    assert status.log.is_file()
    assert status.running is not None
    assert status.running.port == server.address[1]
    await server.close()


def test_the_callers_postgres_variables_do_not_reach_the_server(home: Path) -> None:
    strangers = {"PGDATA": "/nowhere", "PGPORT": "1", "PGUSER": "nobody", "PGOPTIONS": "-c fsync=off"}
    with Member(home, env={**os.environ, **strangers}) as member:
        assert member.joined()["role"] == "agentdb_control"
        member.leave()
