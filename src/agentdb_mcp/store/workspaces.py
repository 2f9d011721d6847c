"""Workspaces that are archived, restored and given to somebody else, and the database that goes along."""

from typing import Any

from agentdb_mcp.core.databases import ManagedDatabase, PauseReason
from agentdb_mcp.core.errors import Misconfigured, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.credentials import SEALED_COLUMNS, hold_keys, resealed
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.hosts import no_user, not_theirs
from agentdb_mcp.store.queries import query


class Workspaces(Facet):
    """What a workspace goes through between its making and its end.

    Methods raise Missing (`workspace_not_found`, `database_not_found`), and Denied("forbidden") when the
    workspace is another user's.
    """

    async def archive_workspace(
        self, workspace_id: WorkspaceId, user_id: UserId, *, archived: bool
    ) -> ManagedDatabase:
        """Its database is wanted paused because it is archived, or no longer for that reason."""
        async with self._control_plane.transaction() as connection:
            await _owned_by(connection, workspace_id, user_id)
            row = await _agent_database(connection, workspace_id)
            changed = await connection.fetchrow(
                query("pause" if archived else "resume"), row["id"], PauseReason.ARCHIVED
            )
        return database_from(changed)

    async def transfer_workspace(
        self, workspace_id: WorkspaceId, giver: UserId, taker: UserId
    ) -> ManagedDatabase:
        """The workspace and its database are the taker's, sealed anew, in one transaction; and it is due, so
        that it is fitted to the taker's plan.
        """
        async with self._control_plane.transaction() as connection:
            await hold_keys(connection)
            if not await connection.fetchval(query("user_exists"), taker):
                raise no_user()
            if await _owned_by(connection, workspace_id, giver, taker) != taker:
                await connection.execute(query("give_workspace"), workspace_id, taker)
            row = await _agent_database(connection, workspace_id)
            return await self._give(connection, row, taker)

    async def moved(self, limit: int) -> list[DatabaseId]:
        """Databases whose workspace the host gave to somebody else by itself, and that nobody works on."""
        async with self._control_plane.connection() as connection:
            return [row["id"] for row in await connection.fetch(query("moved"), limit)]

    async def follow_owner(self, database_id: DatabaseId) -> None:
        """Give the database to whoever owns its workspace now."""
        async with self._control_plane.transaction() as connection:
            await hold_keys(connection)
            row = await connection.fetchrow(query("hold_moved"), database_id)
            if row is not None:
                await self._give(connection, row, UserId(row["owner_id"]))

    async def _give(self, connection: Connection, row: Any, taker: UserId) -> ManagedDatabase:
        if row["user_id"] == taker:
            return database_from(row)
        given = await connection.fetchrow(
            query("give_database"), row["id"], taker, *self._sealed_for(row, taker)
        )
        await connection.execute(query("doubt"), [row["id"]])
        return database_from(given)

    def _sealed_for(self, row: Any, taker: UserId) -> list[str | None]:
        """What no key of ours opens is made anew by the reconciler; but not of a user's own database."""
        ring = self._keys.ring()
        try:
            return [resealed(row, column, ring, owner=taker) for column in SEALED_COLUMNS]
        except Misconfigured:
            if row["ownership_type"] == "user":
                raise
            return [None] * len(SEALED_COLUMNS)


async def _owned_by(connection: Connection, workspace_id: WorkspaceId, *users: UserId) -> UserId:
    """The workspace's owner, who must be one of these; nobody else changes it until we are done."""
    owner = await connection.fetchval(query("lock_workspace"), workspace_id)
    if owner is None:
        raise Missing(
            "workspace_not_found",
            "There is no such workspace.",
            "Create it first: agentdb workspace create ID --user USER.",
        )
    if owner not in users:
        raise not_theirs()
    return UserId(owner)


async def _agent_database(connection: Connection, workspace_id: WorkspaceId) -> Any:
    row = await connection.fetchrow(query("lock_agent_database"), workspace_id)
    if row is None:
        raise Missing(
            "database_not_found",
            "The workspace has no database.",
            "Ask for it: agentdb workspace create ID --user USER.",
        )
    return row
