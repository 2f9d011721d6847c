"""What two million rows do to a server's memory: sampled while they are selected."""

import threading
from statistics import median

from bench.clients import StdioClient, proportional_set_size
from bench.world import MINIMAL, OURS, World

HUGE = "SELECT n, 'row number ' || n AS name, n * 1.25 AS price FROM generate_series(1, 2000000) AS n"
TIMES = 3
EVERY = 0.05
"""Seconds between two looks."""


def main(world: World) -> str:
    contestants = {"minimal SDK server": (MINIMAL, world.floor), "agentdb mcp": (OURS, world.environment)}
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contestants}
    for _ in range(TIMES):
        for name, (command, environment) in contestants.items():
            seen[name].append(selected(StdioClient(command, environment)))
    lines = [
        "| PSS, MB | after start | peak of 2,000,000 rows | characters of the answer |",
        "|---|---:|---:|---:|",
    ]
    for name, rounds in seen.items():
        start, peak, length = (median(each) for each in zip(*rounds, strict=True))
        lines.append(f"| {name} | {start:.0f} | {peak:,.0f} | {length:,.0f} |")
    return "\n".join(lines)


def selected(client: StdioClient) -> tuple[float, float, float]:
    start = proportional_set_size(client.pid)
    peaks = [start]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            peaks.append(proportional_set_size(client.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    length = len(client.tool("query", sql=HUGE))
    over.set()
    watching.join()
    client.close()
    return start, max(peaks), length
