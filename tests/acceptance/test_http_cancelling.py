"""However a call over HTTP comes to be for nobody, PostgreSQL stops it, on each transport."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.gateways import TRANSPORTS, Gateway, caller_on
from support.waiting import until

ENDLESS = "SELECT count(*) FROM generate_series(1, 90000) a, generate_series(1, 90000) b, generate_series(1, 90000) c"


class Watcher:
    """Sees what PostgreSQL is doing."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def busy(self, marker: str) -> bool:
        """Whether a backend still has to do with that statement: running it, or in a transaction after it."""
        return await self._connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state <> 'idle'"
            " AND pid <> pg_backend_pid() AND position($1 in query) > 0)",
            marker,
        )

    async def stopped(self, marker: str) -> float:
        """Waits until it has: how many seconds that took."""
        began = time.monotonic()

        async def is_idle() -> bool:
            return not await self.busy(marker)

        await until(is_idle)
        return time.monotonic() - began


@pytest.fixture
async def watcher(home: Path) -> AsyncIterator[Watcher]:
    server = await EmbeddedPostgres.open(home)
    connection = await asyncpg.connect(server.admin_uri.reveal())
    yield Watcher(connection)
    await connection.close()
    await server.close()


def endless(marker: str) -> str:
    return f"/* {marker} */ {ENDLESS}"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_hangs_up_stops_its_call_and_no_other(
    served: Any, watcher: Watcher, transport: str, record_property: Any
) -> None:
    marker = f"hung up {transport}"
    async with caller_on(transport, served.gateway.url, served.ada) as other:
        async with caller_on(transport, served.gateway.url, served.ada) as caller:
            await caller.start(endless(marker))
            await until(lambda: watcher.busy(marker))
            assert await caller.rows("SELECT 1") == [[1]]
            await caller.leave()
            record_property("seconds", await watcher.stopped(marker))
        assert await other.rows("SELECT 2") == [[2]]


@pytest.mark.parametrize("transport", ["legacy", "sse"])
async def test_a_call_that_is_cancelled_stops(
    served: Any, watcher: Watcher, transport: str, record_property: Any
) -> None:
    marker = f"cancelled {transport}"
    async with caller_on(transport, served.gateway.url, served.ada) as caller:
        number, _ = await caller.start(endless(marker))
        await until(lambda: watcher.busy(marker))
        await caller.notify("notifications/cancelled", {"requestId": number})
        record_property("seconds", await watcher.stopped(marker))
        assert await caller.rows("SELECT 1") == [[1]]


TO_BE_KILLED = """
import asyncio, sys
from support.gateways import caller_on

async def main():
    transport, url, token, sql = sys.argv[1:]
    async with caller_on(transport, url, token) as caller:
        _, answer = await caller.start(sql)
        await answer

asyncio.run(main())
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_killed_outright_stops_its_call(
    served: Any, watcher: Watcher, transport: str, record_property: Any
) -> None:
    marker = f"killed {transport}"
    arguments = [transport, served.gateway.url, served.ada, endless(marker)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", TO_BE_KILLED, *arguments], env=environment) as client:
        await until(lambda: watcher.busy(marker), seconds=60)
        client.kill()
    record_property("seconds", await watcher.stopped(marker))


async def test_a_call_over_its_time_stops_and_says_so_and_a_signal_ends_the_rest(
    served: Any, watcher: Watcher
) -> None:
    with Gateway(served.home, "--sse", AGENTDB_STATEMENT_TIMEOUT_SECONDS="1") as gateway:
        for transport in TRANSPORTS:
            marker = f"timed out {transport}"
            async with caller_on(transport, gateway.url, served.ada) as caller:
                _, answer = await caller.start(endless(marker))
                error = (await answer)["result"]["structuredContent"]["error"]
                assert error["code"] == "query_timeout"
                await watcher.stopped(marker)
                assert await caller.rows("SELECT 1") == [[1]]


async def test_a_gateway_told_to_end_stops_what_runs_and_ends_in_order(served: Any, watcher: Watcher) -> None:
    answers = {}
    async with AsyncExitStack() as callers:
        with Gateway(served.home, "--sse") as gateway:
            for transport in TRANSPORTS:
                caller = await callers.enter_async_context(caller_on(transport, gateway.url, served.ada))
                _, answers[transport] = await caller.start(endless(f"at the end {transport}"))
                await until(lambda name=transport: watcher.busy(f"at the end {name}"))
            gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.process.wait, 60) == 0
            await watcher.stopped("at the end")
            assert "Traceback" not in gateway.stderr
        for era in ("modern", "legacy"):
            assert (await answers[era])["error"]["data"]["code"] == "database_unavailable", era
