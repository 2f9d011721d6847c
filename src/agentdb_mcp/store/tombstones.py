"""Databases that are wanted gone: what protects them, how they come back, and when they are forgotten."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from agentdb_mcp.core.databases import Kind, Lease, ManagedDatabase
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.hosts import adding, check_owner, no_user
from agentdb_mcp.store.leases import Claim, Leases
from agentdb_mcp.store.queries import query


class Tombstones(Leases):
    """Between the wish to delete and the end of it."""

    async def protect(self, database_id: DatabaseId, *, protected: bool) -> ManagedDatabase | None:
        """Whether it refuses to be deleted, or is kept where its row went already. None: there is none."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("protect"), database_id, protected)
        return None if row is None else database_from(row)

    async def set_delete_grace(self, hours: int) -> None:
        """How long what is deleted from now on is kept, for every process and a host's own DELETE."""
        async with self._control_plane.connection() as connection:
            await connection.execute(query("set_delete_grace"), hours)

    async def claim_tombstone(self, database_id: DatabaseId, *, seconds: float) -> Claim | None:
        """A deleted database that was made, to bring it back; None when there is none, or it is leased."""
        return await self._claim_one("claim_tombstone", database_id, seconds)

    async def revive(self, database_id: DatabaseId, lease: Lease) -> bool:
        """Its row is there again, and its workspace's where that is gone; it is due, to get credentials.

        False: the lease was lost. Raises Missing("user_not_found"), and Denied("forbidden") when the
        workspace is another user's by now or there is another database in its place.
        """
        async with self._control_plane.transaction() as connection:
            row = await connection.fetchrow(query("leased"), database_id, lease.token)
            if row is None:
                return False
            database = database_from(row)
            with adding():
                await _make_room(connection, database)
                name = "revive_global_database" if database.kind is Kind.GLOBAL else "revive_agent_database"
                revived = await connection.fetchval(query(name), database_id)
            if revived is None:
                raise Denied(
                    "forbidden",
                    f"There is another {database.kind} database in its place by now.",
                    "Delete that one first, if it is not needed.",
                )
            await connection.execute(query("delete_tombstone"), database_id)
        return True

    async def record_final_usage(
        self, database_id: DatabaseId, usage: Mapping[str, object], lease: Lease
    ) -> bool:
        """The provider's last figures; those without any do not replace earlier ones."""
        return await self._record("record_final_usage", database_id, lease, json.dumps(usage))

    async def purge_tombstones(self, *, days: int, limit: int) -> int:
        """Forget up to `limit` databases whose end the provider confirmed so many days ago."""
        async with self._control_plane.connection() as connection:
            return len(await connection.fetch(query("purge_tombstones"), days, limit))

    async def sight_orphans(self, provider: str, project_ids: Sequence[str]) -> dict[str, datetime]:
        """Since when each of these was seen at that provider without a row. Others are no longer."""
        async with self._control_plane.transaction() as connection:
            await connection.execute(query("forget_orphans"), provider, list(project_ids))
            await connection.execute(query("sight_orphans"), provider, list(project_ids))
            rows = await connection.fetch(query("orphans"), provider)
        return {row["project_id"]: row["first_seen_at"] for row in rows}


async def _make_room(connection: Connection, database: ManagedDatabase) -> None:
    """What the row refers to. A deleted user comes back with the shared database."""
    if database.workspace_id is None:
        await connection.execute(query("add_user"), database.user_id)
        await connection.execute(query("add_budget"), database.user_id)
        return
    if not await connection.fetchval(query("user_exists"), database.user_id):
        raise no_user()
    await connection.execute(query("add_workspace"), database.workspace_id, database.user_id, "")
    await check_owner(connection, database.workspace_id, database.user_id)
