"""What changes cost: with and without an idempotency key, and ten thousand rows in three ways."""

import itertools
import time
from collections.abc import Callable
from statistics import median

from bench.clients import StdioClient
from bench.world import OURS, ROUNDS, World

MANY = 10_000
TOGETHER = 500
"""Rows of one INSERT: the guard takes 6,000 words and signs of a statement at most."""

SINGLE = 200
"""Rows of the way that takes a call for each: the table says what MANY would take."""

TABLE = "CREATE TABLE load (id bigint, name text, price numeric(12,2))"
INSERT = "INSERT INTO load VALUES ($1, $2, $3)"
UPDATE = "UPDATE item SET stock = stock + 1 WHERE id = $1"


def main(world: World) -> str:
    client = StdioClient(OURS, world.environment)
    client.tool("execute_ddl", sql=TABLE)
    single = one_change(client)
    loads = many_rows(client)
    client.close()
    return f"{single}\n\n{loads}"


def one_change(client: StdioClient) -> str:
    numbers = itertools.count()
    ways = {
        "execute": lambda n: client.tool("execute", sql=UPDATE, params=[n % 100 + 1]),
        "execute with an idempotency_key": lambda n: client.tool(
            "execute", sql=UPDATE, params=[n % 100 + 1], idempotency_key=f"bench-{n}"
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name] += [timed(lambda way=way: way(next(numbers))) for _ in range(100)]
    lines = ["| one UPDATE by key, committed | p50 ms |", "|---|---:|"]
    lines += [f"| {name} | {median(each) * 1_000:.2f} |" for name, each in times.items()]
    return "\n".join(lines)


def many_rows(client: StdioClient) -> str:
    rows = [[n, f"item {n}", f"{n * 1.25:.2f}"] for n in range(MANY)]
    values = ", ".join(f"(${3 * n + 1}, ${3 * n + 2}, ${3 * n + 3})" for n in range(TOGETHER))
    parts = [list(itertools.chain(*rows[n : n + TOGETHER])) for n in range(0, MANY, TOGETHER)]

    def together() -> None:
        for params in parts:
            client.tool("execute", sql=f"INSERT INTO load VALUES {values}", params=params)

    def each() -> None:
        for row in rows[:SINGLE]:
            client.tool("execute", sql=INSERT, params=row)

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "load_rows, one call (COPY)": (
            lambda: client.tool("load_rows", table="load", columns=["id", "name", "price"], rows=rows),
            MANY,
        ),
        f"execute, INSERTs of {TOGETHER:,} rows of parameters": (together, MANY),
        f"execute, one call for each row (from {SINGLE} calls)": (each, SINGLE),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (way, made) in ways.items():
            times[name].append(timed(way) * MANY / made)
    lines = [f"| {MANY:,} rows of three columns | seconds | rows a second |", "|---|---:|---:|"]
    for name, taken in times.items():
        lines.append(f"| {name} | {median(taken):.2f} | {MANY / median(taken):,.0f} |")
    return "\n".join(lines)


def timed(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started
