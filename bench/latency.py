"""How long a call takes over stdio, how long a server takes to its first result, and what memory it holds."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import asyncpg

from bench.clients import Era, StdioClient, proportional_set_size
from bench.world import MINIMAL, OURS, ROUNDS, World

STARTS = 5


@dataclass(frozen=True)
class Statement:
    name: str
    sql: str
    params: tuple[Any, ...]
    calls: int
    """How often it is called in one round."""


STATEMENTS = (
    Statement("SELECT 1", "SELECT 1", (), 300),
    Statement("by key", "SELECT * FROM item WHERE id = $1", (500,), 300),
    Statement("100 rows", "SELECT * FROM item ORDER BY id LIMIT 100", (), 100),
    Statement("1,000 rows", "SELECT * FROM item ORDER BY id LIMIT 1000", (), 40),
    Statement("10,000 rows", "SELECT * FROM item ORDER BY id LIMIT 10000", (), 8),
)


@dataclass
class Contestant:
    name: str
    call: Callable[..., Any]
    pid: int | None = None
    times: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds by statement."""
    starts: list[float] = field(default_factory=list)
    """Seconds from the start of the process to the first row."""
    memory: list[float] = field(default_factory=list)
    """Proportional set size after the start, after a thousand short calls, and at the end, in megabytes."""

    def remember(self) -> None:
        if self.pid is not None:
            self.memory.append(proportional_set_size(self.pid))


def main(world: World) -> str:
    """Runs everything and returns the table."""
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(bare_loop(world.url)),
            stack.enter_context(server("minimal SDK server", MINIMAL, world.floor)),
            stack.enter_context(server("agentdb mcp", OURS, world.lifted)),
            stack.enter_context(server("agentdb mcp, 2026-07-28", OURS, world.lifted, era="modern")),
        ]
        for contestant in contestants:
            contestant.remember()
            for _ in range(1_000):
                contestant.call("SELECT 1")
            contestant.remember()
        for _ in range(ROUNDS):
            for statement in STATEMENTS:
                for contestant in contestants:
                    measure(contestant, statement)
        for contestant in contestants:
            contestant.remember()
        return table(contestants)


def measure(contestant: Contestant, statement: Statement) -> None:
    contestant.call(statement.sql, *statement.params)
    times = contestant.times.setdefault(statement.name, [])
    for _ in range(statement.calls):
        started = time.perf_counter()
        contestant.call(statement.sql, *statement.params)
        times.append((time.perf_counter() - started) * 1_000)


@contextmanager
def bare_loop(url: str) -> Iterator[Contestant]:
    """The driver in this process: what PostgreSQL and asyncpg take by themselves."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url))
    yield Contestant(
        "bare asyncpg loop", lambda *statement: loop.run_until_complete(connection.fetch(*statement))
    )
    loop.run_until_complete(connection.close())
    loop.close()


@contextmanager
def server(
    name: str, command: list[str], environment: dict[str, str], era: Era = "legacy"
) -> Iterator[Contestant]:
    starts = []
    for _ in range(STARTS):
        client = StdioClient(command, environment, era)
        starts.append(client.seconds_to_first_result)
        client.close()
    client = StdioClient(command, environment, era)
    yield Contestant(name, client.query, client.pid, starts=starts)
    client.close()


def table(contestants: list[Contestant]) -> str:
    """Markdown: a row for each contestant; p50, p95 and p99 in milliseconds."""
    names = [statement.name for statement in STATEMENTS]
    lines = [
        f"| | start to first result, s | {' | '.join(names)} | PSS: started, 1,000 calls, end, MB |",
        "|---" * (len(names) + 3) + "|",
    ]
    for contestant in contestants:
        start = f"{median(contestant.starts):.2f}" if contestant.starts else "-"
        cells = [spread(contestant.times[name]) for name in names]
        memory = ", ".join(f"{each:.0f}" for each in contestant.memory) or "-"
        lines.append(f"| {contestant.name} | {start} | {' | '.join(cells)} | {memory} |")
    return "\n".join(lines)


def spread(times: list[float]) -> str:
    cut = quantiles(times, n=100)
    return " / ".join(f"{share:.2f}" for share in (median(times), cut[94], cut[98]))
