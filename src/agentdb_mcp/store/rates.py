"""Turns at what is rationed, given out in one order to every process of the installation (docs/adr/0021)."""

from typing import Final

from agentdb_mcp.core.rates import Rate
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

LONGEST_HOLD: Final = 300.0
"""Seconds. A row outlives whoever wrote it: no answer, however odd, may close a provider for a day."""


class Rates(Facet):
    """One row for each rate, and the control plane's clock."""

    async def take_turn(self, rate: Rate, *, patience: float) -> float | None:
        """The next turn, in so many seconds. None: they would be more than `patience`; no turn was taken.

        A turn that is not used is lost; the next one is not earlier for it.
        """
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(
                query("take_turn"), rate.name, rate.interval, rate.saved, patience, LONGEST_HOLD
            )

    async def hold_turns(self, rate: Rate, seconds: float) -> None:
        """No turn comes before so many seconds, at most LONGEST_HOLD, but those already given."""
        async with self._control_plane.connection() as connection:
            await connection.execute(query("hold_turns"), rate.name, min(seconds, LONGEST_HOLD))
