"""Time that only moves when told to, so that a month passes in a test."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""The present, in UTC."""


def system_clock() -> datetime:
    """The real time."""
    return datetime.now(UTC)


class ManualClock:
    """A clock, a monotonic clock and a sleep that agree with each other."""

    def __init__(self, start: datetime = datetime(2026, 3, 10, 12, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._now.timestamp()

    def advance(self, **duration: float) -> None:
        """Let time pass; `duration` is timedelta's: seconds=, minutes=, hours=, days=."""
        self._now += timedelta(**duration)

    async def sleep(self, seconds: float) -> None:
        """Sleep in this time: everybody else gets a turn, and then it is later."""
        await asyncio.sleep(0)
        self.advance(seconds=seconds)
