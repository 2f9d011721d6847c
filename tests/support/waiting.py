"""Waiting for what makes no event here: asked again, never for longer than a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def until(holds: Callable[[], Awaitable[Any]], *, seconds: float = 20) -> None:
    """Return when `holds` answers something true. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process has no Event for us
            await asyncio.sleep(0.01)


def soon(holds: Callable[[], bool], seconds: float = 20) -> None:
    """The same where nothing else goes on meanwhile."""

    async def held() -> bool:
        return holds()

    asyncio.run(until(held, seconds=seconds))
