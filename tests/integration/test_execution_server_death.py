"""The whole server dies and comes back: calls fail clearly meanwhile, and work again afterwards by themselves."""

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Key, Outcome, Statement
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.ids import DatabaseId, WorkspaceId
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected
from support.statements import approved, ddl, write
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


async def test_changes_with_a_key_survive_it_or_never_were(
    doomed: tuple[EmbeddedPostgres, int], pools: Pools
) -> None:
    server, postmaster = doomed
    database_id = DatabaseId(str(uuid.uuid4()))
    made = await ServerProvider(server.admin_uri).create(DatabaseSpec(database_id, Kind.AGENT))
    target = Target(database_id, Kind.AGENT, "agent", made.credentials.writer, made.credentials.reader)
    runner = Runner(pools)
    await runner.run(target, ddl("CREATE TABLE entry (id int GENERATED ALWAYS AS IDENTITY)"), [], CAPS)
    sql = "INSERT INTO entry DEFAULT VALUES RETURNING id"

    async def change(text: str) -> Outcome:
        key = Key.of(WorkspaceId("w"), text, "execute", [Statement(sql)])
        return await runner.change_once(target, [Step(write(sql), [])], CAPS, key)

    kept = await change("kept")
    place = {**dsn.arguments(server.admin_uri.reveal()), "database": Names.of(database_id).database}
    holder, watcher = await asyncpg.connect(**place), await asyncpg.connect(**place)
    await holder.execute("BEGIN; LOCK TABLE entry")
    lost = asyncio.create_task(change("lost"))
    await until(
        lambda: watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    )
    os.kill(postmaster, signal.SIGKILL)
    with pytest.raises(Unavailable):
        await lost
    for connection in (holder, watcher):
        connection.terminate()
    await server.ensure()

    assert await change("kept") == replace(kept, replayed=True)
    assert not (await change("lost")).replayed
    assert (await change("lost")).replayed
    assert (await runner.run(target, approved("SELECT count(*) FROM entry"), [], CAPS)).rows == ((2,),)
