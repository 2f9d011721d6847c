"""`make bench`: measures, prints the tables, and writes them into docs/explanation/performance.md."""

import platform
from datetime import UTC, datetime
from pathlib import Path

from bench import mcp

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- bench: mcp -->", "<!-- end -->"


def main() -> None:
    table = mcp.main()
    print(table)
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    stamp = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}"
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n\nMeasured {stamp}.\n{END}{after}")


if __name__ == "__main__":
    main()
