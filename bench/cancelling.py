"""From the moment a client gives a call up to the moment PostgreSQL has stopped: milliseconds."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from statistics import median
from typing import Any

import asyncpg

from bench.clients import HttpClient, StdioClient
from bench.throughput import serving, token
from bench.world import GATEWAY, MINIMAL, OURS, World

TIMES = 20
ENDLESS = "SELECT /* {} */ count(*) FROM generate_series(1, 1000000000000)"
RUNS = """SELECT EXISTS (SELECT FROM pg_stat_activity
    WHERE state <> 'idle' AND pid <> pg_backend_pid() AND position($1 in query) > 0)"""

Watch = Callable[[str, bool], Coroutine[Any, Any, float]]
"""Waits until a statement runs, or does not: when that was."""


def main(world: World) -> str:
    return asyncio.run(measured(world))


async def measured(world: World) -> str:
    connection = await asyncpg.connect(world.url)

    async def watch(marker: str, runs: bool) -> float:
        while await connection.fetchval(RUNS, marker) is not runs:  # each look is a round trip
            pass
        return time.perf_counter()

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
    lines += [f"| {name} | {median(each):.1f} | {max(each):.1f} |" for name, each in times.items()]
    return "\n".join(lines)


async def by_notice(client: StdioClient, watch: Watch) -> float:
    marker = f"cancelled {time.monotonic_ns()}"
    number = client.start("tools/call", {"name": "query", "arguments": {"sql": ENDLESS.format(marker)}})
    await watch(marker, True)
    began = time.perf_counter()
    client.notify("notifications/cancelled", {"requestId": number})
    took = (await watch(marker, False) - began) * 1_000
    client.settle()
    return took


async def by_hanging_up(port: int, key: str, watch: Watch) -> float:
    marker = f"hung up {time.monotonic_ns()}"
    async with HttpClient(port, key) as client:
        await client.start(ENDLESS.format(marker))
        await watch(marker, True)
        began = time.perf_counter()
    return (await watch(marker, False) - began) * 1_000
