"""`make bench`: measures, prints the tables, and writes them into docs/explanation/performance.md."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench import mcp

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- bench: mcp -->", "<!-- end -->"


def main() -> None:
    load = f"{os.getloadavg()[0]:.1f} when it began"
    table = mcp.main()
    print(table)
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    machine = f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"
    stamp = f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {load}"
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n\nMeasured {stamp}.\n{END}{after}")


if __name__ == "__main__":
    main()
