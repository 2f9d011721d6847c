"""Versions of agents' schemas: the latest shape of each, and what its versions changed."""

from typing import Final

from agentdb_mcp.core.ids import DatabaseId, UserId
from agentdb_mcp.core.schema import Budget
from agentdb_mcp.core.shapes import SeenSchema, Shape, VersionChanges, decoded
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

KEPT_VERSIONS: Final = 100
"""Of one database: what older ones changed is forgotten."""


class Schemas(Facet):
    """Remembering what was seen of databases' schemas."""

    async def seen_schema(self, database_id: DatabaseId) -> SeenSchema:
        """The latest version; 0 when nobody has looked yet."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("seen_schema"), database_id)
        return SeenSchema(0, "") if row is None else SeenSchema(row["version"], row["mark"])

    async def latest_shape(self, database_id: DatabaseId) -> tuple[int, Shape] | None:
        """The latest version and what the tables looked like."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("latest_shape"), database_id)
        return None if row is None else (row["version"], Shape(row["mark"], row["shape"]))

    async def record_shape(
        self, database_id: DatabaseId, base: int, shape: Shape, changes: str | None
    ) -> bool:
        """The version after `base`. False: somebody else was faster, or there is no such database."""
        async with self._control_plane.connection() as connection:
            recorded = await connection.fetchval(
                query("record_shape"), database_id, base, shape.mark, shape.tables, changes, KEPT_VERSIONS
            )
        return recorded is not None

    async def budget(self, user_id: UserId) -> Budget | None:
        """What a user's databases have cost; None when that was never metered."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("budget"), user_id)
        if row is None:
            return None
        return Budget(row["spent"], row["custom_budget_cents"], row["budget_exceeded"], row["as_of"])

    async def schema_changes(self, database_id: DatabaseId, since: int) -> tuple[VersionChanges, ...]:
        """What each remembered version after `since` changed, in their order."""
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(query("schema_changes"), database_id, since)
        return tuple(VersionChanges(row["version"], row["seen_at"], decoded(row["changes"])) for row in rows)
