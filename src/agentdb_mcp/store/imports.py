"""Databases that were there before us: their rows, and what other programs sealed."""

from typing import Final

from agentdb_mcp.core.databases import Imported, ManagedDatabase, Provisioned
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.credentials import hold_keys
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.hosts import adding, check_owner
from agentdb_mcp.store.leases import Leases
from agentdb_mcp.store.queries import query

IMPORTS_LOCK: Final = int.from_bytes(b"agentdbi")
"""One import at a time looks whose a project is."""


class Imports(Leases):
    """Taking databases over."""

    def read_uri(self, text: str) -> ConnectionUri:
        """A connection URI as it is, or in Sim's sealed form. Raises as KeyRing.open_given does."""
        return self._keys.ring().open_given(text)

    async def record_import(self, given: Imported) -> ManagedDatabase:
        """The user, the workspace, and the row of a database that is wanted; one from before stays.

        Raises Denied("forbidden") when there already is another database in its place, and when the project
        is another's.
        """
        async with self._control_plane.transaction() as connection:
            await connection.execute(query("lock_imports"), IMPORTS_LOCK)
            taken = await connection.fetchval(
                query("project_is_taken"), given.project_id, given.workspace_id, given.user_id
            )
            if taken:
                raise Denied(
                    "forbidden", "This project is another database's already.", "Check neon_project_id."
                )
            with adding():
                await connection.execute(query("add_user"), given.user_id)
                await connection.execute(query("add_budget"), given.user_id)
                if given.workspace_id is not None:
                    await connection.execute(
                        query("add_workspace"), given.workspace_id, given.user_id, given.workspace_name
                    )
                    await check_owner(connection, given.workspace_id, given.user_id)
                row = await connection.fetchrow(
                    query("import_database" if given.workspace_id else "import_global_database"),
                    given.workspace_id,
                    given.user_id,
                    given.provider,
                    given.ownership_type,
                    given.project_id,
                )
            found = database_from(row)
            if not given.is_of(found):
                raise Denied(
                    "forbidden",
                    f"There is another {found.kind} database in its place: {found.id}.",
                    "Delete that one first, if it is not needed.",
                )
        return found

    async def record_adopted(self, database_id: DatabaseId, made: Provisioned) -> bool:
        """A user's own database has its roles: their credentials, sealed. False: it was deleted meanwhile."""
        async with self._control_plane.transaction() as connection:
            await hold_keys(connection)
            rows = await connection.fetch(query("hold_databases"), [database_id])
            if rows:
                await self._write_provisioned(connection, database_from(rows[0]), made)
            return bool(rows)
