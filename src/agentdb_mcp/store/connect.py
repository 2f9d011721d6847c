"""Connections to the control plane: the store's only door to its revealed URI."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, LiteralString, Protocol, Self, cast

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.failures import translated

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection, sign-in included."""

STATEMENT_SECONDS: Final = 30.0
"""Longest wait for one statement of ours; all of them are short."""

CLOSE_SECONDS: Final = 5.0
"""Longest wait for statements that are under way when we close."""

POOL_SIZE: Final = 4
IDLE_SECONDS: Final = 60.0


class Connection(Protocol):
    """asyncpg's connection, as far as the store uses it, taking no SQL but our own."""

    async def execute(self, query: LiteralString, *args: Any, timeout: float | None = None) -> str: ...
    async def fetch(self, query: LiteralString, *args: Any) -> "list[asyncpg.Record]": ...
    async def fetchrow(self, query: LiteralString, *args: Any) -> "asyncpg.Record | None": ...
    async def fetchval(self, query: LiteralString, *args: Any) -> Any: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


class ControlPlane:
    """A few connections, made when they are needed. Every failure leaves as one of our errors."""

    def __init__(self, locate: Callable[[], ConnectionUri]) -> None:
        self._locate = locate
        self._pool = asyncpg.create_pool(
            connect=self._connect,
            min_size=0,
            max_size=POOL_SIZE,
            max_inactive_connection_lifetime=IDLE_SECONDS,
        )

    @classmethod
    async def open(cls, uri: ConnectionUri | Callable[[], ConnectionUri]) -> Self:
        """Connects to nothing yet; a server that may move is asked for by a function, each time.

        Raises Misconfigured("settings_invalid") for a URI that cannot be read.
        """
        locate = (lambda: uri) if isinstance(uri, ConnectionUri) else uri
        _arguments(locate())
        control_plane = cls(locate)
        await control_plane._pool
        return control_plane

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """One connection of the pool."""
        with translated():
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield cast("Connection", connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """One connection, and one transaction on it."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def dedicated(self) -> asyncpg.Connection:
        """A connection outside the pool, the caller's to close."""
        with translated():
            return await self._connect()

    async def close(self) -> None:
        """Let statements finish for a moment, then hang up."""
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_SECONDS)
        except TimeoutError:
            self._pool.terminate()

    async def _connect(self, _dsn: None = None, **given: Any) -> asyncpg.Connection:
        return await asyncpg.connect(**given, **_arguments(self._locate()))


def _arguments(uri: ConnectionUri) -> dict[str, Any]:
    try:
        arguments = dsn.arguments(uri.reveal())
    except ValueError as error:
        raise Misconfigured(
            "settings_invalid",
            f"AGENTDB_CONTROL_URL: {error}",
            "docs/reference/settings.md explains its form.",
        ) from None
    # The seed's timestamps carry no zone: they are UTC because every session of ours is.
    settings = {"application_name": "agentdb", "timezone": "UTC", **arguments.pop("server_settings")}
    return {
        **arguments,
        "server_settings": settings,
        "timeout": CONNECT_SECONDS,
        "command_timeout": STATEMENT_SECONDS,
    }
