"""Calls a second of one process, over HTTP and over stdio, with so many callers at once."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles

from bench.clients import HttpClient, StdioClient
from bench.world import GATEWAY, MINIMAL, OURS, ROUNDS, World, agentdb

CALLERS = (1, 16, 64)
SECONDS = 0.3
"""Of one measurement."""

STATEMENTS = {"SELECT 1": "SELECT 1", "100 rows": "SELECT * FROM item ORDER BY id LIMIT 100"}

Run = Callable[[str, int], list[float]]
"""A statement and a number of callers -> seconds of each call, made within SECONDS or a little more."""


@dataclass
class Contestant:
    name: str
    run: Run
    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    times: dict[tuple[str, int], list[float]] = field(default_factory=dict)


def main(world: World) -> str:
    key = token(world)
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(over_http("minimal SDK server, HTTP", [*MINIMAL, "--http"], world.floor, "")),
            stack.enter_context(over_http("agentdb serve, HTTP", GATEWAY, world.environment, key)),
            stack.enter_context(over_stdio("minimal SDK server, stdio", MINIMAL, world.floor)),
            stack.enter_context(over_stdio("agentdb mcp, stdio", OURS, world.environment)),
        ]
        for _ in range(ROUNDS):
            for name, sql in STATEMENTS.items():
                for callers in CALLERS:
                    for contestant in contestants:
                        measure(contestant, (name, callers), sql)
    return table(contestants)


def token(world: World) -> str:
    printed = agentdb(world, "token", "create", "--workspace", "bench").split()
    return next(word for word in printed if word.startswith("adb_"))


def measure(contestant: Contestant, case: tuple[str, int], sql: str) -> None:
    started = time.perf_counter()
    times = contestant.run(sql, case[1])
    contestant.rates.setdefault(case, []).append(len(times) / (time.perf_counter() - started))
    contestant.times.setdefault(case, []).extend(times)


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Its port and its process id."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    yield int(process.stdout.readline().rpartition(":")[2]), process.pid
    process.terminate()
    process.wait(30)
    process.stdout.close()


@contextmanager
def over_http(name: str, command: list[str], environment: dict[str, str], token: str) -> Iterator[Contestant]:
    with serving(command, environment) as (port, _):
        yield Contestant(name, lambda sql, callers: asyncio.run(together(port, token, sql, callers)))


async def together(port: int, token: str, sql: str, callers: int) -> list[float]:
    times: list[float] = []

    async def caller() -> None:
        async with HttpClient(port, token) as client:
            while time.perf_counter() < end:
                started = time.perf_counter()
                await client.query(sql)
                times.append(time.perf_counter() - started)

    end = time.perf_counter() + SECONDS
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return times


@contextmanager
def over_stdio(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Contestant]:
    client = StdioClient(command, environment)

    def run(sql: str, callers: int) -> list[float]:
        return client.in_flight(sql, callers, SECONDS)

    yield Contestant(name, run)
    client.close()


def table(contestants: list[Contestant]) -> str:
    """Markdown: calls a second, medians of the rounds, and p50 / p99 of one call with most callers."""
    head = (
        f"| calls a second at {' / '.join(map(str, CALLERS))} callers | {' | '.join(STATEMENTS)} "
        f"| ms of 100 rows at {CALLERS[-1]}: p50 / p99 |"
    )
    lines = [head, "|---" * (len(STATEMENTS) + 2) + "|"]
    for each in contestants:
        cells = [
            " / ".join(f"{median(each.rates[name, callers]):,.0f}" for callers in CALLERS)
            for name in STATEMENTS
        ]
        most = each.times["100 rows", CALLERS[-1]]
        slow = f"{median(most) * 1_000:.0f} / {quantiles(most, n=100)[98] * 1_000:.0f}"
        lines.append(f"| {each.name} | {' | '.join(cells)} | {slow} |")
    return "\n".join(lines)
