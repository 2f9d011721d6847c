"""Real `agentdb worker` processes, killed with SIGKILL while they wait for Neon; others finish their work."""

import random
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentdb_mcp.core.databases import Desired
from agentdb_mcp.core.ids import UserId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.store import Store, open_keys
from support.commands import environment
from support.hosts import command
from support.postgres import run_sql
from support.servers import lets_in
from support.waiting import until
from support.worlds import LATER

ADA = UserId("ada")


@pytest.fixture
async def fake(admin_uri: ConnectionUri) -> AsyncIterator[FakeNeon]:
    """In real time, because the workers are in it."""
    fake = await FakeNeon(admin_uri).start()
    fake.account.traits.operation_seconds = 0.05
    yield fake
    await fake.forget()
    await fake.close()


@contextmanager
def workers(count: int, given: dict[str, str], home: Path) -> Iterator[None]:
    """So many processes inside this block; they are killed at its end, without a word of warning."""
    said = home / "said.txt"
    with said.open("ab") as log:
        running = [
            subprocess.Popen(command("worker"), env=environment(home, **given), stdout=log, stderr=log)
            for _ in range(count)
        ]
        try:
            yield
        finally:
            for process in running:
                process.kill()
                process.wait(30)


async def live_through(
    fake: FakeNeon, control: ConnectionUri, home: Path, point: int, *, racing: int = 1
) -> bool:
    """Kill workers at that request, let two others finish. False: there was no such request."""
    key = secrets.token_hex(32)
    given = {
        "AGENTDB_CONTROL_URL": control.reveal(),
        "AGENTDB_PROVIDER": "neon",
        "NEON_API_KEY": API_KEY,
        "AGENTDB_NEON_API_URL": fake.api_url,
        "NEON_CONNECTION_ENCRYPTION_KEY": key,
        "AGENTDB_LOG_LEVEL": "debug",
    }
    store = await Store.open(control, open_keys(KeyText(key), (), None))
    await store.migrate()
    await store.register_user(ADA, plan=None, provider="neon")

    async def done() -> bool:
        rows = await store.list_databases(None)
        return all(row.desired == row.observed for row in rows)

    async def reached() -> bool:
        return len(fake.faults.requests) > point or await done()

    fake.faults.requests.clear()
    fake.faults.skip(point)
    fake.faults.add(Fault.SLOW, times=racing)
    with workers(racing, given, home):
        await until(reached, seconds=90)
    struck = not await done()
    fake.faults.rules.clear()
    fake.faults.skip(0)
    await run_sql(control, LATER)
    with workers(2, given, home):
        await until(done, seconds=90)
    (row,) = await store.list_databases(ADA)
    assert [project.id for project in fake.account.live()] == [row.project_id]
    for uri in await store.open_credentials(row.id):
        assert await lets_in(uri)
    assert row.desired is Desired.ACTIVE
    said = (home / "said.txt").read_text()
    assert not [secret for secret in (API_KEY, key, "postgresql://") if secret in said]
    await store.close()
    return struck


async def test_what_killed_workers_left_is_finished_by_others(
    fake: FakeNeon, control_uri: ConnectionUri, tmp_path: Path
) -> None:
    point = random.Random("killed workers").randrange(2, 5)
    assert await live_through(fake, control_uri, tmp_path, point, racing=2)


@pytest.mark.fuzz
@pytest.mark.parametrize("racing", [1, 2], ids=["alone", "racing"])
@pytest.mark.parametrize("point", range(10))
async def test_a_worker_killed_at_any_request_loses_nothing(
    fake: FakeNeon, control_uri: ConnectionUri, tmp_path: Path, point: int, racing: int
) -> None:
    await live_through(fake, control_uri, tmp_path, point, racing=racing)
