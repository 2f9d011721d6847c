"""The databases behind the projects: on one PostgreSQL server, under names that do not collide.

Every Neon project has roles and databases of its own, and here they share a server. So what Neon knows of
(its default names are the same everywhere) is kept under another name, which front.py puts in place. Roles
made by SQL keep theirs, and are renamed out of the way when their project is deleted.
"""

import asyncio
import hashlib
import secrets
from typing import Any, Final

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.identifiers import quote_identifier, quote_literal
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.states import Database, Project, Role

OWNER_RIGHTS: Final = "LOGIN INHERIT CREATEDB CREATEROLE BYPASSRLS REPLICATION"
"""Of `neondb_owner` and every role made through Neon's API (its compute_tools, spec_apply.rs)."""

MADE_BY: Final = """
    SELECT made.rolname FROM pg_auth_members m
    JOIN pg_roles made ON made.oid = m.roleid JOIN pg_roles maker ON maker.oid = m.member
    WHERE maker.rolname = $1 AND m.admin_option
"""
"""PostgreSQL 16 and newer make the maker of a role its administrator."""


class FakePostgres:
    """Makes, hides and drops what belongs to projects, as the embedded server's superuser."""

    def __init__(self, admin: ConnectionUri) -> None:
        self._arguments = dsn.arguments(admin.reveal())
        self._turn = asyncio.Lock()
        self._salt = secrets.token_hex(4)
        """Several stand-ins may share a server, and their ids repeat."""
        self._connection: Any = None

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        return self._arguments["host"], self._arguments["port"]

    async def make(self, project: Project, role: Role, database: Database) -> None:
        """A role of Neon's making and a database it owns."""
        role.physical = self._physical(project, role.name)
        database.physical = self._physical(project, database.name)
        name, owned = quote_identifier(role.physical), quote_identifier(database.physical)
        async with self._turn:
            admin = await self._admin()
            await admin.execute(f"CREATE ROLE {name} {OWNER_RIGHTS} PASSWORD {quote_literal(role.password)}")
            await admin.execute(f"CREATE DATABASE {owned} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'")

    async def size(self, project: Project) -> int:
        """What its databases occupy, in bytes."""
        physical = [database.physical for database in project.databases.values()]
        async with self._turn:
            admin = await self._admin()
            query = "SELECT sum(pg_database_size(name))::bigint FROM unnest($1::name[]) AS name"
            return await admin.fetchval(query, physical) or 0

    async def set_password(self, role: Role) -> None:
        """The password Neon knows becomes the one that is true."""
        async with self._turn:
            admin = await self._admin()
            name = quote_identifier(role.physical)
            await admin.execute(f"ALTER ROLE {name} PASSWORD {quote_literal(role.password)}")

    async def hide(self, project: Project) -> None:
        """The project was deleted: free the names its owner gave to roles."""
        await self._rename(project, hide=True)

    async def show(self, project: Project) -> None:
        """The project was recovered."""
        await self._rename(project, hide=False)

    async def drop(self, project: Project) -> None:
        """The project's 7 days are over."""
        async with self._turn:
            admin = await self._admin()
            made = [name for role in project.roles.values() for name in await self._made_by(role)]
            for database in project.databases.values():
                name = quote_identifier(database.physical)
                await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            for name in [*made, *(role.physical for role in project.roles.values())]:
                await admin.execute(f"DROP ROLE IF EXISTS {quote_identifier(name)}")

    async def end_sessions(self, ports: list[int]) -> None:
        """End the sessions whose client has one of these ports, as a compute that stops does: with 57P01."""
        async with self._turn:
            admin = await self._admin()
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1)"
            await admin.fetch(query, ports)

    async def close(self) -> None:
        """Release the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _rename(self, project: Project, *, hide: bool) -> None:
        mark = f"~{self._digest(project)}~"
        async with self._turn:
            admin = await self._admin()
            for role in project.roles.values():
                for name in await self._made_by(role):
                    if name.startswith(mark) is not hide:
                        new = mark + name if hide else name.removeprefix(mark)
                        await admin.execute(
                            f"ALTER ROLE {quote_identifier(name)} RENAME TO {quote_identifier(new)}"
                        )

    async def _made_by(self, role: Role) -> list[str]:
        rows = await (await self._admin()).fetch(MADE_BY, role.physical)
        return [row["rolname"] for row in rows]

    async def _admin(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(**self._arguments)
        return self._connection

    def _physical(self, project: Project, name: str) -> str:
        return f"{name[:40]}~{self._digest(project)}"

    def _digest(self, project: Project) -> str:
        return hashlib.sha256(f"{self._salt}{project.id}".encode()).hexdigest()[:12]
