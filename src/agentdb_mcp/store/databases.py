"""Databases as rows: what is wanted of them and what was seen."""

from collections.abc import Sequence
from typing import Any

from agentdb_mcp.core.databases import Desired, Kind, ManagedDatabase, Observed, PauseReason
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query


def database_from(row: Any) -> ManagedDatabase:
    """A row of `managed_database`, without its credentials."""
    return ManagedDatabase(
        id=DatabaseId(row["id"]),
        kind=Kind.GLOBAL if row["workspace_id"] is None else Kind.AGENT,
        user_id=UserId(row["user_id"]),
        workspace_id=row["workspace_id"],
        provider=row["provider"],
        ownership_type=row["ownership_type"],
        project_id=row["neon_project_id"],
        database_name=row["database_name"],
        desired=Desired(row["desired_state"]),
        observed=Observed(row["observed_state"]),
        has_credentials=None not in (row["writer_connection_uri"], row["reader_connection_uri"]),
        attempts=row["attempts"],
        last_error=row["last_error"],
        paused_by=tuple(PauseReason(reason) for reason in row["paused_by"]),
        protected=row["protected"],
        delete_after=row["delete_after"],
        kept=row.get("kept") or False,  # only of tombstones, and asked for where there may be one
    )


class Databases(Facet):
    """Looking databases up, and writing down what is wanted of one."""

    async def find_database(
        self, kind: Kind, user_id: UserId, workspace_id: WorkspaceId
    ) -> ManagedDatabase | None:
        """The user's global database, or the workspace's own. Whose the workspace is was checked before."""
        name, owner = (
            ("global_database", user_id) if kind is Kind.GLOBAL else ("agent_database", workspace_id)
        )
        return await self._one(name, owner)

    async def find_by_id(self, database_id: DatabaseId) -> ManagedDatabase | None:
        """Any database there is a row for, a tombstone included."""
        return await self._one("database", database_id)

    async def list_databases(self, user_id: UserId | None) -> list[ManagedDatabase]:
        """Every database there is a row for, tombstones included, oldest first; of one user when named."""
        async with self._control_plane.connection() as connection:
            return [database_from(row) for row in await connection.fetch(query("databases"), user_id)]

    async def on_record_of_others(
        self, database_id: DatabaseId, provider: str, projects: Sequence[str]
    ) -> frozenset[str]:
        """Which of these projects of a provider's the row of another database names as its own."""
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(query("on_record_of_others"), database_id, provider, list(projects))
        return frozenset(row["neon_project_id"] for row in rows)

    async def pause(
        self, database_id: DatabaseId, reason: PauseReason = PauseReason.OPERATOR
    ) -> ManagedDatabase | None:
        """Want it paused for that reason. None: there is none, or it is wanted gone, which is final."""
        return await self._one("pause", database_id, reason)

    async def resume(
        self, database_id: DatabaseId, reason: PauseReason = PauseReason.OPERATOR
    ) -> ManagedDatabase | None:
        """Take that reason back; for others it stays paused. None: as for a pause."""
        return await self._one("resume", database_id, reason)

    async def forget_credentials(self, database_id: DatabaseId) -> bool:
        """Drop the credentials, so that the reconciler has the database mended and new ones made.

        False: there is none, it is wanted gone, or it is the user's own.
        """
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("forget_credentials"), database_id) is not None

    async def _one(self, name: str, *values: str) -> ManagedDatabase | None:
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query(name), *values)
        return None if row is None else database_from(row)
