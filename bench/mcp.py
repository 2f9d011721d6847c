"""`agentdb mcp` beside a bare asyncpg loop and a minimal server of the same SDK, interleaved in one run.

Each round visits every contestant with every statement, so that a noisy minute hurts all of them alike.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import asyncpg

from agentdb_mcp.providers.embedded import EmbeddedPostgres
from bench.clients import StdioClient

ROUNDS = 5
STARTS = 5
TABLE = """CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, price numeric(12,2), stock integer,
    active boolean, added timestamptz, tags text[], note text)"""
ROWS = """INSERT INTO item SELECT n, 'item ' || n, n * 1.25, n % 100, n % 3 = 0,
    timestamptz '2026-01-01' + n * interval '1 hour', ARRAY['a', 'b'], repeat('x', 20)
    FROM generate_series(1, 1000) AS n"""


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
    Statement("1,000 rows", "SELECT * FROM item ORDER BY id LIMIT 1000", (), 30),
)


@dataclass
class Contestant:
    name: str
    call: Callable[..., Any]
    memory: Callable[[], float] | None = None
    times: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds by statement."""
    starts: list[float] = field(default_factory=list)
    """Seconds from the start of the process to the first row."""
    megabytes: tuple[float, float] | None = None
    """Proportional set size after the start and at the end."""


def main() -> str:
    """Runs everything and returns the table."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentdb-bench-")))
        home.chmod(0o711)
        embedded = stack.enter_context(running(home))
        ours, minimal = prepared(home, embedded)
        contestants = [
            stack.enter_context(bare_loop(minimal["BENCH_URL"])),
            stack.enter_context(
                server("minimal SDK server", [sys.executable, "-m", "bench.minimal_server"], minimal)
            ),
            stack.enter_context(server("agentdb mcp", ours_command(), ours)),
            stack.enter_context(server("agentdb mcp, 2026-07-28", ours_command(), ours, era="modern")),
        ]
        for _ in range(ROUNDS):
            for statement in STATEMENTS:
                for contestant in contestants:
                    measure(contestant, statement)
        for contestant in contestants:
            if contestant.memory is not None and contestant.megabytes is not None:
                contestant.megabytes = (contestant.megabytes[0], contestant.memory())
        return table(contestants)


def measure(contestant: Contestant, statement: Statement) -> None:
    contestant.call(statement.sql, *statement.params)
    times = contestant.times.setdefault(statement.name, [])
    for _ in range(statement.calls):
        started = time.perf_counter()
        contestant.call(statement.sql, *statement.params)
        times.append((time.perf_counter() - started) * 1_000)


@contextmanager
def running(home: Path) -> Iterator[EmbeddedPostgres]:
    embedded = asyncio.run(EmbeddedPostgres.open(home))
    yield embedded
    asyncio.run(embedded.close())


def ours_command() -> list[str]:
    return [sys.executable, "-m", "agentdb_mcp", "mcp", "--workspace", "bench"]


def prepared(home: Path, embedded: EmbeddedPostgres) -> tuple[dict[str, str], dict[str, str]]:
    """The same table in the workspace's database and in one that the floors connect to directly."""
    # Whole results, as the others give them: by default an answer ends at its tokens.
    environment = {**os.environ, "AGENTDB_HOME": str(home), "AGENTDB_MAX_RESULT_TOKENS": "1000000"}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # a start is measured with compiled modules, as installed
    for words in (["user", "create", "bench"], ["workspace", "create", "bench", "--user", "bench"]):
        subprocess.run(
            [sys.executable, "-m", "agentdb_mcp", *words], env=environment, check=True, capture_output=True
        )
    url = embedded.admin_uri.reveal()
    asyncio.run(fill(url))
    client = StdioClient(ours_command(), environment)
    client.tool("execute_ddl", TABLE)
    client.tool("execute", ROWS)
    client.close()
    return environment, {**environment, "BENCH_URL": url}


async def fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    await connection.execute(ROWS)
    await connection.execute("ANALYZE item")
    await connection.close()


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
    name: str, command: list[str], environment: dict[str, str], era: Any = "legacy"
) -> Iterator[Contestant]:
    starts = []
    for _ in range(STARTS):
        client = StdioClient(command, environment, era)
        starts.append(client.seconds_to_first_result)
        client.close()
    client = StdioClient(command, environment, era)
    memory = client.proportional_set_size
    yield Contestant(name, client.query, memory, starts=starts, megabytes=(memory(), 0))
    client.close()


def table(contestants: list[Contestant]) -> str:
    """Markdown: a row for each contestant; p50 and p99 in milliseconds."""
    names = [statement.name for statement in STATEMENTS]
    lines = [
        f"| | start to first result, s | {' | '.join(names)} | PSS at start, end, MB |",
        "|---" * (len(names) + 3) + "|",
    ]
    for contestant in contestants:
        start = f"{median(contestant.starts):.2f}" if contestant.starts else "-"
        cells = [spread(contestant.times[name]) for name in names]
        memory = "{:.0f}, {:.0f}".format(*contestant.megabytes) if contestant.megabytes else "-"
        lines.append(f"| {contestant.name} | {start} | {' | '.join(cells)} | {memory} |")
    return "\n".join(lines)


def spread(times: list[float]) -> str:
    return f"{median(times):.2f} / {quantiles(times, n=100)[98]:.2f}"
