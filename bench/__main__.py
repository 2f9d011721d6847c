"""`make bench`: measures, prints the tables, and writes them into the page they are named in."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench import lifecycle, mcp

PAGES = Path(__file__).parents[1] / "docs" / "explanation"
TABLES = {("performance.md", "mcp"): mcp.main, ("lifecycle.md", "lifecycle"): lifecycle.main}
"""Page and mark -> what makes the table between `<!-- bench: mark -->` and `<!-- end -->`."""


def main() -> None:
    for (page, mark), measure in TABLES.items():
        load = f"{os.getloadavg()[0]:.1f} when it began"
        table = measure()
        print(table)
        machine = f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"
        stamp = f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {load}"
        write(PAGES / page, f"<!-- bench: {mark} -->", f"{table}\n\nMeasured {stamp}.")


def write(page: Path, begin: str, text: str) -> None:
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition("<!-- end -->")
    page.write_text(f"{before}{begin}\n{text}\n<!-- end -->{after}")


if __name__ == "__main__":
    main()
