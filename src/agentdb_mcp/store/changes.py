"""Hearing that a database's row or its schema changed: until then what was looked up is remembered."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.shapes import SeenSchema
from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.failures import translated

CHANNEL: Final = "agentdb_database"
SCHEMA_CHANNEL: Final = "agentdb_schema"
MOST_FOLLOWED: Final = 10_000
"""Databases whose schema version is kept in memory; of others the control plane is asked again."""

PING_SECONDS: Final = 15.0
"""How often we make sure that the connection is not dead without a word."""

RETRY_SECONDS: Final = 0.5
"""Longest pause before connecting again; somewhat shorter, so that many do not come at once."""


class _Bell:
    """Counts, and wakes those who wait for the next."""

    def __init__(self) -> None:
        self.count = 0
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self.count += 1
        self._rung.set()

    async def wait(self, since: int, seconds: float | None) -> None:
        """Until it rang after that count, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.count <= since:
                    self._rung.clear()
                    await self._rung.wait()


class Changes:
    """Counts the changes of all databases' rows, while it is connected (docs/adr/0006).

    Of the databases that somebody asked it to follow it also knows the latest schema version.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._listening = False
        self._rows = _Bell()
        self._schemas = _Bell()
        self._followed: dict[DatabaseId, SeenSchema | None] = {}

    @property
    def version(self) -> int | None:
        """What was looked up at the same version is still true. None: changes are not heard at the moment."""
        return self._rows.count if self._listening else None

    async def wait(self, version: int | None, seconds: float) -> None:
        """Until something changed since that version, or for so long."""
        await self._rows.wait(self._rows.count if version is None else version, seconds)

    @property
    def schema_count(self) -> int:
        """Moves with each new version of a schema that is followed, and whenever some were missed."""
        return self._schemas.count

    async def wait_for_schemas(self, count: int) -> None:
        """Until it moved from that count."""
        await self._schemas.wait(count, None)

    def schema(self, database_id: DatabaseId) -> SeenSchema | None:
        """The latest schema version of a database that is followed, while changes are heard."""
        return self._followed.get(database_id) if self._listening else None

    def follow_schema(self, database_id: DatabaseId) -> None:
        """From now on what is heard of it is kept; to be asked before the control plane is."""
        self._followed.setdefault(database_id, None)
        if len(self._followed) > MOST_FOLLOWED:
            del self._followed[next(iter(self._followed))]

    def found_schema(self, database_id: DatabaseId, found: SeenSchema) -> None:
        """What the control plane said, unless something newer was heard or the connection lost meanwhile."""
        if database_id in self._followed:
            self._keep_newest(database_id, found)

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
                await connection.add_listener(SCHEMA_CHANNEL, self._hear_schema)
                self._hear()
                self._followed.clear()
                self._schemas.ring()
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
        self._rows.ring()

    def _hear_schema(self, _: Any, __: int, ___: str, payload: str) -> None:
        database_id, version, mark = payload.split(" ")
        if database_id in self._followed:
            self._keep_newest(DatabaseId(database_id), SeenSchema(int(version), mark))
            self._schemas.ring()

    def _keep_newest(self, database_id: DatabaseId, seen: SeenSchema) -> None:
        known = self._followed[database_id]
        if known is None or known.version < seen.version:
            self._followed[database_id] = seen

    def _lose(self, lost: asyncio.Event, _: asyncpg.Connection) -> None:
        self._listening = False
        lost.set()
