"""From the moment a client gives a call up to the moment PostgreSQL has stopped: milliseconds."""

import asyncio
import math
import time
from contextlib import ExitStack
from statistics import median
from typing import Any

import asyncpg

from bench.clients import HttpClient, StdioClient
from bench.throughput import serving, token
from bench.world import GATEWAY, MINIMAL, OURS, World

TIMES = 10
LONGEST = 5
"""Seconds: who takes more has not stopped."""

ENDLESS = """SELECT /* {} */ count(*)
    FROM generate_series(1, 90000) a, generate_series(1, 90000) b, generate_series(1, 90000) c"""
"""A long series by itself would be written to disk, up to the limit of temporary files."""

RUNNING = """FROM pg_stat_activity
    WHERE state <> 'idle' AND pid <> pg_backend_pid() AND position($1 in query) > 0"""


class Watch:
    """Sees what PostgreSQL is doing."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    async def started(self, marker: str) -> None:
        async with asyncio.timeout(LONGEST):
            while not await self._runs(marker):
                pass  # each look is a round trip

    async def milliseconds_to_idle(self, marker: str) -> float:
        began = time.perf_counter()
        while await self._runs(marker):
            if time.perf_counter() - began > LONGEST:
                await self._connection.fetch(f"SELECT pg_terminate_backend(pid) {RUNNING}", marker)
                return math.inf
        return (time.perf_counter() - began) * 1_000

    async def _runs(self, marker: str) -> bool:
        return await self._connection.fetchval(f"SELECT EXISTS (SELECT {RUNNING})", marker)


def main(world: World) -> str:
    return asyncio.run(measured(world))


async def measured(world: World) -> str:
    connection = await asyncpg.connect(world.url)

    watch = Watch(connection)
    with ExitStack() as stack:
        ours, minimal = StdioClient(OURS, world.environment), StdioClient(MINIMAL, world.floor)
        stack.callback(ours.close)
        stack.callback(minimal.close)
        port, _ = stack.enter_context(serving(GATEWAY, world.environment))
        floor_port, _ = stack.enter_context(serving([*MINIMAL, "--http"], world.floor))
        key = token(world)
        ways = {
            "minimal SDK server, stdio, notifications/cancelled": lambda: by_notice(minimal, watch),
            "agentdb mcp, stdio, notifications/cancelled": lambda: by_notice(ours, watch),
            "minimal SDK server, HTTP, the client hangs up": lambda: by_hanging_up(floor_port, "", watch),
            "agentdb serve, HTTP, the client hangs up": lambda: by_hanging_up(port, key, watch),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TIMES):
            for name, way in ways.items():
                times[name].append(await way())
    await connection.close()
    lines = ["| from the client's word to an idle backend | p50 ms | longest |", "|---|---:|---:|"]
    lines += [f"| {name} | {shown(median(each))} | {shown(max(each))} |" for name, each in times.items()]
    return "\n".join(lines)


async def by_notice(client: StdioClient, watch: Watch) -> float:
    marker = f"cancelled {time.monotonic_ns()}"
    number = client.start("tools/call", {"name": "query", "arguments": {"sql": ENDLESS.format(marker)}})
    await watch.started(marker)
    client.notify("notifications/cancelled", {"requestId": number})
    took = await watch.milliseconds_to_idle(marker)
    client.settle()
    return took


async def by_hanging_up(port: int, key: str, watch: Watch) -> float:
    marker = f"hung up {time.monotonic_ns()}"
    async with HttpClient(port, key) as client:
        await client.start(ENDLESS.format(marker))
        await watch.started(marker)
    return await watch.milliseconds_to_idle(marker)


def shown(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < math.inf else f"not within {LONGEST:,} s"
