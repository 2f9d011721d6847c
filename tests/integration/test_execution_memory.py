"""However much a statement selects, what this process holds of it is bounded: its own peak says so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.dsn import arguments

MEGABYTE = 1024 * 1024

SCRIPT = """
import asyncio, json, resource, sys
from support.statements import approved
from agentdb_mcp.core.guard import StatementClass
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def outcome(runner, target, sql, caps, asked):
    try:
        found = await runner.run(target, approved(sql, StatementClass(asked["as"])), [], caps)
    except AgentDbError as error:
        return error.code
    return [len(found.rows), found.truncated, [cell.length for cell in found.cut]]

async def main():
    asked = json.load(sys.stdin)
    uri = ConnectionUri(asked["uri"])
    target = Target("id", "agent", "agent", uri, uri)
    pools = Pools(PoolLimits(size=10))
    runner = Runner(pools)
    caps = Caps(**asked["caps"])
    await outcome(runner, target, "SELECT 1", caps, asked)
    before = peak()
    calls = [outcome(runner, target, asked["sql"], caps, asked) for _ in range(asked["at_once"])]
    found = await asyncio.gather(*calls)
    print(json.dumps({"found": found, "grown": peak() - before}))
    await pools.close()

asyncio.run(main())
"""


def run(target: Target, sql: str, *, at_once: int = 1, klass: str = "read", **caps: int) -> dict[str, Any]:
    parts = arguments(target.reader.reveal())
    uri = f"postgresql://{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}/{parts['database']}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(
            {"uri": uri + "?sslmode=disable", "sql": sql, "at_once": at_once, "as": klass, "caps": caps}
        ),
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_million_rows_are_stopped_at_the_cap(target: Target) -> None:
    seen = run(target, "SELECT n, repeat('x', 100) FROM generate_series(1, 2000000) n")
    assert seen["found"] == [[1000, "rows", []]]
    assert seen["grown"] < 8 * MEGABYTE


def test_what_a_change_returns_past_the_cap_is_let_go_while_it_comes_in(target: Target) -> None:
    seen = run(target, "SELECT n, repeat('x', 100) FROM generate_series(1, 1500000) n", klass="write", rows=5)
    assert seen["found"] == [[5, "rows", []]]
    assert seen["grown"] < 8 * MEGABYTE


def test_rows_past_the_byte_cap_are_let_go_while_they_come_in(target: Target) -> None:
    seen = run(target, "SELECT repeat('x', 20000) FROM generate_series(1, 1000)")
    assert seen["found"] == [[49, "bytes", []]]
    assert seen["grown"] < 12 * MEGABYTE


def test_a_cell_of_a_hundred_megabytes_is_cut_while_it_comes_in(target: Target) -> None:
    seen = run(target, "SELECT 1, repeat('ä', 50000000), repeat('y', 5000)", cell=4_000)
    assert seen["found"] == [[1, None, [50_000_000, 5_000]]]
    assert seen["grown"] < 12 * MEGABYTE


def test_more_than_is_worth_receiving_is_refused(target: Target) -> None:
    seen = run(target, "SELECT repeat('x', 200000000)", cell=4_000)
    assert seen["found"] == ["result_too_large"]
    assert seen["grown"] < 12 * MEGABYTE


def test_rows_of_megabytes_each_are_cut_one_by_one(target: Target) -> None:
    seen = run(target, "SELECT repeat('x', 5000000) FROM generate_series(1, 20)", cell=10)
    assert seen["found"] == [[20, None, [5_000_000] * 20]]
    assert seen["grown"] < 12 * MEGABYTE


@pytest.mark.parametrize("sql", ["SELECT repeat('x', 20000) FROM generate_series(1, 1000)"])
def test_ten_large_results_at_once_are_bounded_too(target: Target, sql: str) -> None:
    seen = run(target, sql, at_once=10)
    assert seen["found"] == [[49, "bytes", []]] * 10
    assert seen["grown"] < 64 * MEGABYTE
