"""Asking PostgreSQL what it would do: a statement is planned and not run."""

import json
from collections.abc import Sequence
from typing import Final, LiteralString

from agentdb_mcp.core.plans import Pace
from agentdb_mcp.core.results import Caps, JsonValue
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.session import Session

PLANNING: Final = Caps(rows=1, bytes=1_000_000, seconds=2.0)
"""Planning can be attacked (thirty joins, a million constants, functions that claim to be immutable)."""

ASK: Final = "EXPLAIN (FORMAT JSON) "
"""Before one approved statement; parameters are bound as they would be."""

PACE: Final[LiteralString] = """
EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)
SELECT count(*) FROM pg_catalog.pg_attribute WHERE attlen + attnum > 3
"""
"""Some thousand rows that every database has, in memory: what a unit of cost takes there."""

WORK_MEMORY: Final[LiteralString] = "SELECT pg_size_bytes(current_setting('work_mem'))"

_SLOWEST: Final = 1.0
_FASTEST: Final = 0.0005
"""Milliseconds for a unit of cost, beyond which a measurement is taken for an accident."""


class Planning(Attempt[str]):
    """The plan of one approved statement, as JSON.

    The planner calls functions that say they are immutable: a change is planned where nothing can be changed.
    """

    def __init__(self, text: str, params: Sequence[JsonValue], *, reads: bool) -> None:
        super().__init__(PLANNING, reads=reads, lasts=False)
        self._text = ASK + text
        self._params = params

    async def perform(self, session: Session) -> str:
        if not self.reads:
            await session.begin("READ ONLY")
        prepared = await session.prepare_text(self._text, keep=False)
        answer = await session.execute_text(prepared, self._params, most_rows=1, allowance=PLANNING.bytes)
        await session.roll_back()
        return str(answer.rows[0][0])


def pace(measured: str, work_memory: int) -> Pace:
    """From what PostgreSQL answered to PACE."""
    (run,) = json.loads(measured)
    taken = float(run["Execution Time"]) / max(float(run["Plan"]["Total Cost"]), 1.0)
    return Pace(min(max(taken, _FASTEST), _SLOWEST), work_memory)
