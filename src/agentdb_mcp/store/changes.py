"""Hearing that a database's row changed, so that what was looked up can be remembered until then."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.failures import translated

CHANNEL: Final = "agentdb_database"
PING_SECONDS: Final = 15.0
"""How often we make sure that the connection is not dead without a word."""

RETRY_SECONDS: Final = 0.5
"""Longest pause before connecting again; somewhat shorter, so that many do not come at once."""


class Changes:
    """Counts the changes of all databases' rows, while it is connected (docs/adr/0006)."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._count = 0
        self._listening = False
        self._news = asyncio.Event()

    @property
    def version(self) -> int | None:
        """What was looked up at the same version is still true. None: changes are not heard at the moment."""
        return self._count if self._listening else None

    async def wait(self, version: int | None, seconds: float) -> None:
        """Until something changed since that version, or for so long."""
        known = self._count if version is None else version
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._count <= known:
                    self._news.clear()
                    await self._news.wait()

    @asynccontextmanager
    async def heard(self) -> AsyncGenerator["Changes"]:
        """Listen inside this block, connecting again whenever the connection is lost."""
        task = asyncio.create_task(self._listen_always())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _listen_always(self) -> None:
        while True:
            with contextlib.suppress(AgentDbError):
                await self._listen_once()
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311 - spreads, protects nothing

    async def _listen_once(self) -> None:
        """Until the connection is lost."""
        connection = await self._control_plane.dedicated()
        lost = asyncio.Event()
        try:
            with translated():
                connection.add_termination_listener(partial(self._lose, lost))
                await connection.add_listener(CHANNEL, self._hear)
                self._hear()
                self._listening = not lost.is_set()
                await self._watch(connection, lost)
        finally:
            self._listening = False
            connection.terminate()

    async def _watch(self, connection: asyncpg.Connection, lost: asyncio.Event) -> None:
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), PING_SECONDS)
                return
            await connection.execute("SELECT", timeout=PING_SECONDS)

    def _hear(self, *_: Any) -> None:
        self._count += 1
        self._news.set()

    def _lose(self, lost: asyncio.Event, _: asyncpg.Connection) -> None:
        self._listening = False
        lost.set()
