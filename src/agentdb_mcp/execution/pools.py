"""One pool per database and role: the only door in this room where an agent's connection URI is opened."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.databases import AccessRole, Kind
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.connecting import connect
from agentdb_mcp.execution.endpoints import Endpoint, parse_endpoint
from agentdb_mcp.execution.pool import SessionPool

MOST_SESSIONS: Final = 10
"""Of one role that PostgreSQL lets into an agent's own database (providers/roles.py)."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds on this process's connections to one database as one role."""

    size: int = 4
    idle_seconds: float = 60.0
    """After which an unused connection is closed, so that a serverless PostgreSQL can sleep."""
    connect_seconds: float = 15.0
    """Includes the seconds a sleeping one needs to wake."""
    shared_size: int = 2
    """The same for a global database, where each agent of its user has a process with such pools."""
    shared_idle_seconds: float = 5.0
    """Shorter than `connect_seconds`: whoever finds no connection free waits until an idle one closes."""

    forget_seconds: float = 600.0
    """After which a pool that is empty and that nobody asked for is forgotten: longer than any call waits."""

    def of(self, kind: Kind) -> tuple[int, float]:
        """Size and idle seconds for a database of this kind."""
        if kind is Kind.GLOBAL:
            return min(self.size, self.shared_size), min(self.idle_seconds, self.shared_idle_seconds)
        return min(self.size, MOST_SESSIONS), self.idle_seconds


@dataclass(slots=True)
class _Entry:
    uri: ConnectionUri
    address: tuple[str, int] | None
    pool: SessionPool
    asked_for: float
    """The loop's time when it was last."""


class Pools:
    """All pools of this process. Credentials that change get a new pool; the old one closes as it empties."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._entries: dict[tuple[DatabaseId, AccessRole], _Entry] = {}
        self._retired: list[SessionPool] = []

    def pool(self, target: Target, role: AccessRole) -> SessionPool:
        """The pool for this role on this database. Raises Unavailable when its URI cannot be read."""
        uri, now = target.uri(role), asyncio.get_running_loop().time()
        entry = self._entries.get((target.database_id, role))
        if entry is not None and (entry.uri, entry.address) == (uri, target.address):
            entry.asked_for = now
            return entry.pool
        self._forget_unused(now - self._limits.forget_seconds)
        pool = self._open(_endpoint(uri, target.address), target.kind)
        if entry is not None:
            self._retire(entry.pool)
        self._entries[target.database_id, role] = _Entry(uri, target.address, pool, now)
        return pool

    async def close_database(self, database_id: DatabaseId) -> None:
        """Closes both roles' connections to that database; the next statement opens new ones."""
        keys = [key for key in self._entries if key[0] == database_id]
        await asyncio.gather(*[self._entries.pop(key).pool.close() for key in keys])

    async def close(self) -> None:
        """Closes everything, within a bounded time."""
        entries, self._entries = self._entries, {}
        pools = [*self._retired, *(entry.pool for entry in entries.values())]
        await asyncio.gather(*[pool.close() for pool in pools])

    def _open(self, endpoint: Endpoint, kind: Kind) -> SessionPool:
        size, idle_seconds = self._limits.of(kind)
        connecting = partial(connect, endpoint, self._limits.connect_seconds, self._make_room)
        return SessionPool(connecting, size=size, idle_seconds=idle_seconds)

    def _make_room(self) -> None:
        """Closes what is idle, of every database: a server without a free connection may lack ours."""
        for entry in self._entries.values():
            entry.pool.drop_idle()

    def _forget_unused(self, since: float) -> None:
        """One process may serve any number of databases, few of them at a time."""
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry.asked_for > since or not entry.pool.is_empty
        }

    def _retire(self, pool: SessionPool) -> None:
        """Statements that run with the old credentials may finish."""
        pool.retire()
        self._retired = [old for old in [*self._retired, pool] if not old.is_empty]


def _endpoint(uri: ConnectionUri, address: tuple[str, int] | None) -> Endpoint:
    try:
        endpoint = parse_endpoint(uri.reveal())
    except ValueError:
        raise Unavailable(
            "database_unavailable",
            "The database's stored address cannot be read.",
            "Ask whoever runs this server to reconcile the database.",
        ) from None
    return endpoint if address is None else replace(endpoint, host=address[0], port=address[1])
