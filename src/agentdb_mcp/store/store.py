"""The control plane: the only room that knows its tables."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Self

from agentdb_mcp import assets
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.audit import Audits
from agentdb_mcp.store.changes import Changes
from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.credentials import Credentials
from agentdb_mcp.store.databases import Databases
from agentdb_mcp.store.host_calls import HostCalls
from agentdb_mcp.store.hosts import Hosts
from agentdb_mcp.store.imports import Imports
from agentdb_mcp.store.keys import Keys
from agentdb_mcp.store.migrate import migrate, read_migrations
from agentdb_mcp.store.queries import query
from agentdb_mcp.store.rates import Rates
from agentdb_mcp.store.rotation import Rotations
from agentdb_mcp.store.schemas import Schemas
from agentdb_mcp.store.tokens import Tokens
from agentdb_mcp.store.tombstones import Tombstones
from agentdb_mcp.store.workspaces import Workspaces


class Store(
    Hosts,
    Workspaces,
    Databases,
    Imports,
    Tombstones,
    Credentials,
    Rotations,
    Schemas,
    Tokens,
    Audits,
    HostCalls,
    Rates,
):
    """Everything that is asked of the control plane.

    Every method may raise Unavailable("control_plane_unavailable"); the next call connects again. Where the
    schema is not this build's they raise Misconfigured("schema_incomplete").
    """

    @classmethod
    async def open(cls, uri: ConnectionUri | Callable[[], ConnectionUri], keys: Keys) -> Self:
        """Connects when it is first asked something. A function tells where a server is that may move."""
        return cls(await ControlPlane.open(uri), keys)

    async def migrate(self) -> tuple[str, ...]:
        """Bring the schema up to this build's; the names of the migrations that were applied."""
        async with self._control_plane.connection() as connection:
            return await migrate(connection, read_migrations(assets.folder("migrations")))

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """A count of changes, kept on a connection of its own inside an `async with`."""
        return Changes(self._control_plane).heard()

    async def server_version(self) -> str:
        """The control plane's PostgreSQL, e.g. `18.6`."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("server_version"))

    async def installation_mark(self) -> str:
        """Eight characters that no other control plane has, but for a copy of this one."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("installation_mark"))

    async def dump(self) -> str:
        """Every row of the control plane as text, for an audit of what it gives away."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("dump"))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._control_plane.close()
