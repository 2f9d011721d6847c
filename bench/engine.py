"""Runner.run beside a bare asyncpg loop, interleaved in one process: python bench/engine.py

Both end with JSON text, since a caller needs it either way. Use the ratios: milliseconds are the machine's.
"""

import asyncio
import json
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from agentdb_mcp import assets, dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.guard import Guard, load_policies
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.results import Caps, JsonValue
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.server import ServerProvider

CAPS = Caps(rows=10_000, bytes=10_000_000)

SET_UP = (
    """CREATE TABLE item (
        id int PRIMARY KEY, name text NOT NULL, price numeric(10,2) NOT NULL, weight float8,
        tags text[] NOT NULL, made timestamptz NOT NULL, active bool NOT NULL, extra jsonb)""",
    """INSERT INTO item SELECT n, 'item number ' || n, n * 1.01, n / 7.0, ARRAY['a' || n, 'b'],
        '2026-01-01'::timestamptz + n * interval '1 minute', n % 2 = 0, jsonb_build_object('n', n)
        FROM generate_series(1, 20000) n""",
)

CASES: dict[str, tuple[str, tuple[JsonValue, ...], int]] = {
    "SELECT 1": ("SELECT 1", (), 2000),
    "by key": ("SELECT * FROM item WHERE id = $1::int", (4711,), 2000),
    "100 rows": ("SELECT * FROM item WHERE id <= 100", (), 600),
    "1,000 rows": ("SELECT * FROM item WHERE id <= 1000", (), 150),
    "10,000 rows": ("SELECT * FROM item WHERE id <= 10000", (), 20),
}
"""Name -> statement, parameters, calls."""

Call = Callable[[], Awaitable[str]]


@dataclass
class Timings:
    """Milliseconds of one way to do it."""

    calls: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        return statistics.quantiles(self.calls, n=100, method="inclusive")[round(share * 100) - 1]


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="agentdb-bench-", dir="/tmp"))
    home.chmod(0o711)
    try:
        asyncio.run(measure_in(home))
    finally:
        shutil.rmtree(home)


async def measure_in(home: Path) -> None:
    server = await EmbeddedPostgres.open(home)
    try:
        await measure(await provision(ServerProvider(server.admin_uri)))
    finally:
        await server.close()


async def provision(provider: ServerProvider) -> Target:
    database_id = DatabaseId(str(uuid.uuid4()))
    made = await provider.create(DatabaseSpec(database_id, Kind.AGENT))
    return Target(database_id, Kind.AGENT, "agent", made.credentials.writer, made.credentials.reader)


async def measure(target: Target) -> None:
    writer = await asyncpg.connect(**dsn.arguments(target.writer.reveal()))
    for statement in SET_UP:
        await writer.execute(statement)
    await writer.close()
    bare = await asyncpg.connect(**dsn.arguments(target.reader.reveal()))
    pools = Pools(PoolLimits())
    print(f"{'':12} {'bare p50':>9} {'p99':>8} {'Runner p50':>11} {'p99':>8} {'ratio':>6} {'added':>9}")
    for name, (sql, params, calls) in CASES.items():
        ways = (by_asyncpg(bare, sql, params), by_runner(Runner(pools), target, sql, params))
        report(name, await interleaved(ways, calls))
    await pools.close()
    await bare.close()


def by_asyncpg(connection: "asyncpg.Connection[Any]", sql: str, params: Sequence[JsonValue]) -> Call:
    async def call() -> str:
        return json.dumps([list(row) for row in await connection.fetch(sql, *params)], default=str)

    return call


def by_runner(runner: Runner, target: Target, sql: str, params: Sequence[JsonValue]) -> Call:
    approved = Guard().approve(sql, load_policies(assets.folder("policies"))["agent"], "query")

    async def call() -> str:
        return json.dumps((await runner.run(target, approved, params, CAPS)).rows)

    return call


async def interleaved(ways: Sequence[Call], calls: int) -> list[Timings]:
    timings = [Timings() for _ in ways]
    for number in range(calls + calls // 10):
        for way, timing in zip(ways, timings, strict=True):
            started = time.perf_counter()
            await way()
            if number >= calls // 10:
                timing.calls.append((time.perf_counter() - started) * 1000)
    return timings


def report(name: str, timings: Sequence[Timings]) -> None:
    bare, runner = timings
    ratio = runner.percentile(0.5) / bare.percentile(0.5)
    added = (runner.percentile(0.5) - bare.percentile(0.5)) * 1000
    print(
        f"{name:12} {bare.percentile(0.5):9.3f} {bare.percentile(0.99):8.3f} "
        f"{runner.percentile(0.5):11.3f} {runner.percentile(0.99):8.3f} {ratio:6.2f} {added:+7.0f} us"
    )


if __name__ == "__main__":
    main()
