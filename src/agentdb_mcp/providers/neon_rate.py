"""Our share of Neon's rate limits: 700 requests a minute and 40 a second, about 50 a minute for consumption
(neon.com docs, 2026). Staying under them is cheaper than being told to wait.

The limits are the account's. So all processes of an installation share one budget, counted where they meet:
in the control plane (docs/adr/0021).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from agentdb_mcp.core.rates import Rate

Sleep = Callable[[float], Awaitable[object]]
Monotonic = Callable[[], float]

# In any minute at most 30 + 600 and 5 + 40 requests: under 700 and 50.
REQUESTS: Final = Rate("neon", per_second=10, burst=30)
CONSUMPTION: Final = Rate("neon consumption", per_second=40 / 60, burst=5)


class Turns(Protocol):
    """Gives out turns to all processes, in one order. Raises Unavailable when it cannot be asked."""

    async def take_turn(self, rate: Rate, *, patience: float) -> float | None:
        """The next turn, in so many seconds. None: they would be more than `patience`; no turn was taken."""
        ...

    async def hold_turns(self, rate: Rate, seconds: float) -> None:
        """No turn comes before so many seconds, but those already given."""
        ...


class RateBudget:
    """The line for turns at one rate in one process, first come first served.

    It takes one turn at a time: processes get on equally, however long their lines are, and one that dies
    leaves at most one turn unused.
    """

    def __init__(self, rate: Rate, turns: Turns, sleep: Sleep) -> None:
        self._rate = rate
        self._turns = turns
        self._sleep = sleep
        self._first = asyncio.Lock()

    async def take(self, patience: float) -> bool:
        """True: one more request may be sent now. False: nobody may send any for longer than `patience`
        seconds. Waiting in line for others does not count as that.
        """
        async with self._first:
            wait = await self._turns.take_turn(self._rate, patience=patience)
            if wait:
                await self._sleep(wait)
        return wait is not None

    async def hold(self, seconds: float) -> None:
        """Neon asked for patience: all wait for so long."""
        await self._turns.hold_turns(self._rate, seconds)
