"""Users and workspaces, which are the host's: of its own tables we write only rows that are missing."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.core.errors import Denied, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering left behind, so that it can be taken back."""

    user_id: UserId
    is_new: bool
    """Whether the user's row was made by this registration."""
    database: ManagedDatabase


class Hosts(Facet):
    """What a host tells us about its users and workspaces."""

    async def user_exists(self, user_id: UserId) -> bool:
        """Whether there is such a user."""
        async with self._control_plane.connection() as connection:
            return bool(await connection.fetchval(query("user_exists"), user_id))

    async def workspace_owner(self, workspace_id: WorkspaceId) -> UserId | None:
        """Whose workspace it is; None when there is no such workspace."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("workspace_owner"), workspace_id)

    async def plan_of(self, user_id: UserId) -> str:
        """The best plan that the user's subscriptions give; `free` without one."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("plan"), user_id) or "free"

    async def register_user(self, user_id: UserId, *, plan: str | None, provider: str) -> Registration:
        """The user, its budget row, and a global database that is wanted. A plan of None stays as it is."""
        async with self._control_plane.transaction() as connection:
            with adding():
                is_new = await connection.fetchval(query("add_user"), user_id) is not None
                await connection.execute(query("add_budget"), user_id)
                if plan is not None:
                    await _set_plan(connection, user_id, plan)
                row = await connection.fetchrow(query("want_global_database"), user_id, provider)
        return Registration(user_id, is_new, database_from(row))

    async def change_plan(self, user_id: UserId, plan: str) -> list[DatabaseId]:
        """Record the plan; the user's databases, which are now due to be fitted to it.

        Raises Missing("user_not_found").
        """
        async with self._control_plane.transaction() as connection:
            if not await connection.fetchval(query("user_exists"), user_id):
                raise no_user()
            with adding():
                await _set_plan(connection, user_id, plan)
            rows = await connection.fetch(query("doubt_databases"), user_id)
        return [DatabaseId(row["id"]) for row in rows]

    async def withdraw_registration(self, registration: Registration) -> None:
        """Take back a registration whose database could not be made. A finished one stays."""
        async with self._control_plane.transaction() as connection:
            await connection.execute(query("lock_user"), registration.user_id)
            await connection.execute(query("bury_unfinished_database"), registration.database.id)
            if registration.is_new and await connection.fetchval(
                query("delete_unused_user"), registration.user_id
            ):
                await connection.execute(query("delete_plans"), registration.user_id)

    async def create_workspace(
        self, workspace_id: WorkspaceId, user_id: UserId, *, name: str, provider: str
    ) -> ManagedDatabase:
        """The workspace, and an agent database that is wanted.

        Raises Missing("user_not_found"), and Denied("forbidden") when the workspace is another user's.
        """
        async with self._control_plane.transaction() as connection:
            with adding():
                await connection.execute(query("add_workspace"), workspace_id, user_id, name)
                await check_owner(connection, workspace_id, user_id)
                row = await connection.fetchrow(query("want_agent_database"), workspace_id, user_id, provider)
        return database_from(row)

    async def delete_workspace(self, workspace_id: WorkspaceId, user_id: UserId) -> list[DatabaseId]:
        """Remove the workspace; its databases that now wait to be deleted, from an earlier try as well.

        Raises Denied: `forbidden` when the workspace is another user's, `database_protected`.
        """
        async with self._control_plane.transaction() as connection:
            with _deleting():
                await _check_unprotected(connection, None, workspace_id)
                await check_owner(connection, workspace_id, user_id)
                await connection.execute(query("delete_workspace"), workspace_id, user_id)
            return await _waiting(connection, None, workspace_id)

    async def delete_user(self, user_id: UserId) -> list[DatabaseId]:
        """Remove the user and its workspaces; the databases that now wait to be deleted.

        Raises Denied("database_protected") when any of its databases is protected, and removes nothing then.
        """
        async with self._control_plane.transaction() as connection:
            with _deleting():
                await _check_unprotected(connection, user_id, None)
                for name in ("delete_workspaces", "delete_plans", "delete_user"):
                    await connection.execute(query(name), user_id)
            return await _waiting(connection, user_id, None)


async def _set_plan(connection: Connection, user_id: UserId, plan: str) -> None:
    await connection.execute(query("lock_user"), user_id)
    if not await connection.fetch(query("change_plan"), user_id, plan):
        await connection.execute(query("add_plan"), user_id, plan)


async def check_owner(connection: Connection, workspace_id: WorkspaceId, user_id: UserId) -> None:
    """Raises Denied("forbidden") when the workspace is another user's."""
    if await connection.fetchval(query("workspace_owner"), workspace_id) not in (None, user_id):
        raise not_theirs()


def not_theirs() -> Denied:
    """The workspace is somebody else's."""
    return Denied(
        "forbidden",
        "This workspace belongs to another user.",
        "Name its owner, or choose another id.",
    )


def no_user() -> Missing:
    """The user was never registered."""
    return Missing(
        "user_not_found", "There is no such user.", "Register the user first: agentdb user create ID."
    )


async def _check_unprotected(
    connection: Connection, user_id: UserId | None, workspace_id: WorkspaceId | None
) -> None:
    rows = await connection.fetch(query("protected_databases"), user_id, workspace_id)
    if rows:
        raise Denied(
            "database_protected",
            f"Nothing was deleted: protected against it is {', '.join(row['id'] for row in rows)}.",
            "When it is meant: agentdb database unprotect ID, then delete again.",
        )


async def _waiting(
    connection: Connection, user_id: UserId | None, workspace_id: WorkspaceId | None
) -> list[DatabaseId]:
    rows = await connection.fetch(query("waiting_tombstones"), user_id, workspace_id)
    return [DatabaseId(row["id"]) for row in rows]


@contextmanager
def adding() -> Generator[None]:
    """A row that is added may lack what it refers to, or what a host's own table wants."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError:
        raise no_user() from None
    except asyncpg.NotNullViolationError:
        raise Missing(
            "user_not_found",
            "The host keeps users, workspaces or subscriptions with more columns than we know.",
            "Let the host create the row in its own table first; then call again.",
        ) from None


@contextmanager
def _deleting() -> Generator[None]:
    """A row that is deleted may be referred to by a host's own tables."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError:
        raise Denied(
            "forbidden",
            "The host's own tables still refer to it.",
            "Delete it through the host: our rows go with it.",
        ) from None
