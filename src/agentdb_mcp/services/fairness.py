"""Fair shares of a server: so many calls of one workspace at once, the next in line, the rest refused."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import WorkspaceId


@dataclass(frozen=True, slots=True)
class Share:
    """What one workspace may have of a server."""

    running: int = 4
    """Calls at once."""
    waiting: int = 100
    """Calls in line behind them."""
    patience: float = 30.0
    """Seconds a call may stand in line."""


class _Line:
    """The calls of one workspace: those that run and, first come first served, those that wait."""

    __slots__ = ("calls", "places")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.calls = 0


class Turns:
    """Hands out turns. A call that is cancelled leaves the line, or its place, to the next."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._lines: dict[WorkspaceId, _Line] = {}

    @asynccontextmanager
    async def turn(self, workspace_id: WorkspaceId, seconds: float | None = None) -> AsyncGenerator[None]:
        """A place for one call, given back at the end. Raises Denied("rate_limited").

        A caller in a hurry stands in line for `seconds` at most.
        """
        line = self._lines.setdefault(workspace_id, _Line(self._share.running))
        if line.calls >= self._share.running + self._share.waiting:
            raise self._refused(f"and {self._share.waiting} more wait")
        line.calls += 1
        try:
            await self._wait(line, min(self._share.patience, seconds or self._share.patience))
            try:
                yield
            finally:
                line.places.release()
        finally:
            line.calls -= 1
            if not line.calls:
                del self._lines[workspace_id]

    async def _wait(self, line: _Line, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await line.places.acquire()
        except TimeoutError:
            raise self._refused(f"and no turn came within {seconds:g} s") from None

    def _refused(self, why: str) -> Denied:
        return Denied(
            "rate_limited",
            f"This workspace already runs {self._share.running} calls at once, {why}; this one did nothing.",
            "Wait for those to answer, then call again.",
        )
