"""Our share of Neon's rate limits: 700 requests a minute and 40 a second, about 50 a minute for consumption
(neon.com docs, 2026). Staying under them is cheaper than being told to wait.
"""

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[object]]
Monotonic = Callable[[], float]

ROUNDING = 1e-6
"""Seconds below which a wait is an artefact of floating point."""


class RateBudget:
    """A token bucket. `per_second` requests for ever, `burst` at once; `hold` makes everybody wait.

    It is this process' alone: several workers share Neon's limit through the 429 they get.
    """

    def __init__(self, *, per_second: float, burst: int, monotonic: Monotonic, sleep: Sleep) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._monotonic = monotonic
        self._sleep = sleep
        self._tokens = float(burst)
        self._at = monotonic()
        self._held_until = self._at
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Return when one more request may be sent, first come first served."""
        async with self._turn:
            while (wait := self._wait()) > 0:
                await self._sleep(wait)
            self._tokens -= 1

    def hold(self, seconds: float) -> None:
        """Neon asked for patience: nobody sends anything for so long."""
        self._held_until = max(self._held_until, self._monotonic() + seconds)

    def held(self) -> float:
        """Seconds that are left of what Neon asked for."""
        return max(0.0, self._held_until - self._monotonic())

    def _wait(self) -> float:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        missing = (1 - self._tokens) / self._per_second
        wait = max(missing, self._held_until - now)
        return wait if wait > ROUNDING else 0.0
