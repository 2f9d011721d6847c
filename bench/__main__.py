"""`make bench [ONLY=mark]`: measures, prints the tables, and writes them into the page they are named in."""

import os
import platform
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import cancelling, characters, guard, latency, lifecycle, memory, throughput, writes
from bench.world import world

PAGES = Path(__file__).parents[1] / "docs" / "explanation"
TABLES = {
    "latency": latency.main,
    "throughput": throughput.main,
    "characters": characters.main,
    "memory": memory.main,
    "cancelling": cancelling.main,
    "writes": writes.main,
    "guard": guard.share,
}
"""Marks of performance.md -> what makes the table between `<!-- bench: mark -->` and `<!-- end -->`."""


def main() -> None:
    wanted = sys.argv[1:] or [*TABLES, "lifecycle"]
    with ExitStack() as stack:
        made = stack.enter_context(world()) if set(wanted) & set(TABLES) else None
        for mark in wanted:
            load = f"{os.getloadavg()[0]:.1f} when it began"
            table = lifecycle.main() if made is None or mark == "lifecycle" else TABLES[mark](made)
            print(f"{mark}\n{table}\n", flush=True)
            page = PAGES / ("lifecycle.md" if mark == "lifecycle" else "performance.md")
            write(page, f"<!-- bench: {mark} -->", f"{table}\n\n{stamp(load)}")


def stamp(load: str) -> str:
    machine = f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"
    return f"Measured {datetime.now(UTC):%Y-%m-%d}, {machine}, load {load}."


def write(page: Path, begin: str, text: str) -> None:
    before, mark, rest = page.read_text().partition(begin)
    if not mark:
        sys.exit(f"{page.name} has no place {begin}")
    _, _, after = rest.partition("<!-- end -->")
    page.write_text(f"{before}{begin}\n{text}\n<!-- end -->{after}")


if __name__ == "__main__":
    main()
