"""The whole server dies and comes back: calls fail clearly meanwhile, and work again afterwards by themselves."""

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected
from support.statements import approved, write
from support.waiting import until

CAPS = Caps()


@pytest.fixture
async def doomed() -> AsyncIterator[tuple[EmbeddedPostgres, int]]:
    home = Path(tempfile.mkdtemp(prefix="agentdb-doomed-", dir="/tmp"))
    home.chmod(0o711)
    server = await EmbeddedPostgres.open(home)
    status = EmbeddedPostgres.status(home)
    assert status is not None
    assert status.running is not None
    yield server, status.running.pid
    await server.close()
    shutil.rmtree(home)


async def test_a_postmaster_that_is_killed_and_returns(
    doomed: tuple[EmbeddedPostgres, int], pools: Pools
) -> None:
    server, postmaster = doomed
    database_id = DatabaseId(str(uuid.uuid4()))
    made = await ServerProvider(server.admin_uri).create(DatabaseSpec(database_id, Kind.AGENT))
    target = Target(database_id, Kind.AGENT, "agent", made.credentials.writer, made.credentials.reader)
    runner = Runner(pools)
    assert (await runner.run(target, write("SELECT 'idle'"), [], CAPS)).rows == (("idle",),)
    call = asyncio.create_task(runner.run(target, approved("SELECT pg_sleep(60)"), [], CAPS))

    async with connected(server.admin_uri) as admin:

        async def runs() -> bool:
            return await admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
            )

        await until(runs)
    os.kill(postmaster, signal.SIGKILL)

    with pytest.raises(Unavailable) as lost:
        await call
    with pytest.raises(Unavailable) as refused:
        await runner.run(target, approved("SELECT 1"), [], CAPS)
    assert {lost.value.code, refused.value.code} == {"database_unavailable"}

    await server.ensure()
    assert (await runner.run(target, approved("SELECT 'back'"), [], CAPS)).rows == (("back",),)
    assert (await runner.run(target, write("SELECT 'back'"), [], CAPS)).rows == (("back",),)
