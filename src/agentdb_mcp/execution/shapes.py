"""What the tables of an agent's database look like now, as its reader role sees them."""

from pathlib import Path
from typing import Final

from agentdb_mcp import assets
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.shapes import Shape
from agentdb_mcp.execution.runner import Runner

_CAPS: Final = Caps(rows=1, bytes=4_000_000, seconds=5.0)
"""Enough for some ten thousand tables."""

_FILE: Final = Path(__file__).with_name("shapes.sql")


class Shapes:
    """Looks at a database's tables."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def shape(self, target: Target, *, unless: str) -> Shape | None:
        """What its tables look like; None when the mark is still `unless`. One round trip either way.

        Raises Invalid("result_too_large") for more tables than we follow, and as `Runner.run` does.
        """
        found = await self._runner.read(target, assets.statements(_FILE)["shape"], (unless,), _CAPS)
        if not found.rows:
            raise Invalid("result_too_large", "The database has more tables than are followed.")
        mark, tables = found.rows[0]
        return None if mark == unless else Shape(str(mark), "[]" if tables is None else str(tables))
