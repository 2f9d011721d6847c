"""Databases on a PostgreSQL server: the embedded one, or one the operator runs.

As superuser every database is a copy of a hardened template. A role with CREATEDB and CREATEROLE is
enough too; what only a superuser can harden is then reported in `Provisioned.unhardened`.

Connections here have `search_path = pg_catalog` and call nothing a tenant made: a tenant's function or
view run with our rights would hand them over.
"""

import contextlib
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from typing import Any, Final, LiteralString, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Credentials, DatabaseSpec, Kind, Observed, Provisioned
from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.usage import Usage
from agentdb_mcp.providers import roles, tenant
from agentdb_mcp.providers.base import Census, Owned
from agentdb_mcp.providers.rights import Rights, borrowed, close_own_database, unhardened
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.scram import new_password
from agentdb_mcp.providers.sessions import Session, lock, run, unlock
from agentdb_mcp.providers.template import ensure_template, harden, install_extensions

CONNECT_SECONDS: Final = 10
CALL_SECONDS: Final = 150

SESSION: Final = {
    "application_name": "agentdb provider",
    "search_path": "pg_catalog",
    "statement_timeout": "120s",
    "lock_timeout": "60s",
    "default_transaction_read_only": "off",
}

OBSERVE: Final = """
    SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datallowconn AND datconnlimit <> -2)
           AND count(*) = 2 AS complete,
           count(*) FILTER (WHERE rolcanlogin) AS open
    FROM pg_roles WHERE rolname = ANY($2)
"""

SIZE: Final = "SELECT pg_database_size($1::name) AS stored_bytes, statement_timestamp() AS as_of"

CENSUS: Final = f"""
    SELECT datname AS name, substr(datname, 3)::uuid::text AS id FROM pg_database
    WHERE datname ~ '^d_[0-9a-f]{{32}}$' AND pg_get_userbyid(datdba) = 'o_' || substr(datname, 3)
      AND shobj_description(oid, 'pg_database') = ({tenant.LABEL})
    ORDER BY datname
"""


class ServerProvider:
    """The provider protocol on one server, through one administrator's URI."""

    recoverable_for = timedelta(0)
    """A database that was dropped is gone."""

    def __init__(self, admin: ConnectionUri, *, name: str = "server") -> None:
        self._admin_uri = admin
        self._name = name

    @property
    def name(self) -> str:
        """The value stored in `managed_database.provider`."""
        return self._name

    async def create(self, spec: DatabaseSpec) -> Provisioned:
        """Make the database and its roles, or adopt and mend what is there, with fresh passwords."""
        names = Names.of(spec.id)
        async with self._alone_with(names) as admin:
            rights = await Rights.of(admin)
            template = await self._prepare_server(admin, rights)
            await tenant.make_roles(admin, names, rights)
            async with borrowed(admin, names, rights):
                adopted = await tenant.make_database(admin, names, template)
                await self._furnish(names, rights, adopted=adopted)
            credentials = await self._open_roles(admin, names, spec.kind)
            open_ends = await unhardened(admin, names, rights)
        return Provisioned(names.database, None, names.database, credentials, open_ends)

    async def pause(self, spec: DatabaseSpec, project_id: str) -> None:
        """Close the roles, then end their sessions. The database stays as it is."""
        names = Names.of(spec.id)
        async with self._alone_with(names) as admin:
            rights = await Rights.of(admin)
            await tenant.require(admin, names, project_id)
            await run(admin, [f"ALTER ROLE {quote_identifier(role)} NOLOGIN" for role in names.logins])
            async with borrowed(admin, names, rights):
                await tenant.end_sessions(admin, names)

    async def resume(self, spec: DatabaseSpec, project_id: str) -> None:
        """Open the roles again, with the passwords they had."""
        names = Names.of(spec.id)
        async with self._alone_with(names) as admin:
            await tenant.require(admin, names, project_id)
            await run(admin, [f"ALTER ROLE {quote_identifier(role)} LOGIN" for role in names.logins])

    async def tune(self, spec: DatabaseSpec, project_id: str) -> None:
        """Nothing to do: on one server every plan has the same."""

    async def delete(self, spec: DatabaseSpec, project_id: str | None) -> None:  # noqa: ARG002 - the protocol's
        """Remove the database, whoever is connected to it, and its roles. Nothing there is success.

        The id alone says what to remove: an interrupted `create` recorded no `project_id`.
        """
        names = Names.of(spec.id)
        async with self._alone_with(names) as admin:
            rights = await Rights.of(admin)
            present = await tenant.present_roles(admin, names)
            await run(admin, [f"ALTER ROLE {quote_identifier(role)} NOLOGIN" for role in present])
            async with borrowed(admin, names, rights):
                await tenant.end_sessions(admin, names)
                # FORCE would have a plain role fail on an autovacuum worker, which counts as a superuser's.
                force: LiteralString = " WITH (FORCE)" if rights.superuser else ""
                await admin.execute(f"DROP DATABASE IF EXISTS {quote_identifier(names.database)}{force}")
                await run(admin, [f"DROP ROLE IF EXISTS {quote_identifier(role)}" for role in names.roles])

    async def reclaim(self, spec: DatabaseSpec, project_id: str) -> bool:  # noqa: ARG002 - the protocol's
        """What was dropped is gone. A delete that got no further than the roles is mended by `create`."""
        async with self._connected() as admin:
            return await admin.fetchval(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datconnlimit <> -2)",
                Names.of(spec.id).database,
            )

    async def usage(self, spec: DatabaseSpec, project_id: str) -> Usage:
        """What it stores, at this moment. Its work is not metered: all databases of a server share it."""
        names = Names.of(spec.id)
        async with self._alone_with(names) as admin:
            rights = await Rights.of(admin)
            await tenant.require(admin, names, project_id)
            async with borrowed(admin, names, rights):  # the size is told to whom the database lets in
                found = await admin.fetchrow(SIZE, names.database)
        return Usage(found["as_of"], timedelta(0), found["stored_bytes"], consumption=None)

    async def observe(self, spec: DatabaseSpec, project_id: str | None) -> Observed:  # noqa: ARG002 - the protocol's
        """What is there. A database that lacks a role, or whose making was cut short, counts as not there:
        `create` mends it and keeps its data.
        """
        names = Names.of(spec.id)
        async with self._connected() as admin:
            found = await admin.fetchrow(OBSERVE, names.database, list(names.logins))
        if not found["complete"]:
            return Observed.DELETED
        return {0: Observed.PAUSED, 2: Observed.ACTIVE}.get(found["open"], Observed.UNKNOWN)

    async def census(self) -> Census:
        """The databases that bear a name of ours, an owner of ours and this installation's label."""
        async with self._connected() as admin:
            rows = await admin.fetch(CENSUS)
        return Census(tuple(Owned(row["name"], DatabaseId(row["id"])) for row in rows), complete=True)

    async def discard(self, owned: Owned) -> None:
        """Remove the database and its roles: here there is never more than one of a name."""
        await self.delete(DatabaseSpec(owned.database_id, Kind.AGENT), owned.project_id)

    async def close(self) -> None:
        """Nothing to release: every call has a connection of its own."""

    async def _prepare_server(self, admin: Session, rights: Rights) -> str:
        """What is done once per server: close our own database to the public, make the template."""
        await lock(admin, "server")
        try:
            await close_own_database(admin)
            return await ensure_template(admin, self._connected, rights) if rights.superuser else "template0"
        finally:
            await unlock(admin, "server")

    async def _furnish(self, names: Names, rights: Rights, *, adopted: bool) -> None:
        """What is done inside the database."""
        async with self._connected(names.database) as inside:
            if not rights.superuser:
                await install_extensions(inside, trusted_only=True)
            elif adopted:
                await harden(inside)
            await run(inside, roles.grants_within(names))

    async def _open_roles(self, admin: Session, names: Names, kind: Kind) -> Credentials:
        writer, reader = new_password(), new_password()
        logins = ((names.writer, writer), (names.reader, reader))
        await run(admin, [roles.open_role(role, password, kind) for role, password in logins])
        return Credentials(
            owner=None,
            writer=self._uri(names.writer, writer, names.database),
            reader=self._uri(names.reader, reader, names.database),
        )

    def _uri(self, role: str, password: str, database: str) -> ConnectionUri:
        """The administrator's URI with another role and database: same host, same TLS."""
        parts = urlsplit(self._admin_uri.reveal())
        address = parts.netloc.rpartition("@")[2]
        return ConnectionUri(
            urlunsplit((parts.scheme, f"{role}:{password}@{address}", f"/{database}", parts.query, ""))
        )

    def _arguments(self) -> dict[str, Any]:
        try:
            arguments = dsn.arguments(self._admin_uri.reveal())
        except ValueError as error:  # its text repeats nothing of the URI
            raise Misconfigured("settings_invalid", str(error)) from None
        arguments["server_settings"] |= SESSION
        return arguments

    @contextlib.asynccontextmanager
    async def _alone_with(self, names: Names) -> AsyncGenerator[Session]:
        """The only session that works on this database; the lock ends with the connection."""
        async with self._connected() as admin:
            await lock(admin, names.database)
            yield admin

    @contextlib.asynccontextmanager
    async def _connected(self, database: str | None = None) -> AsyncGenerator[Session]:
        with _translated():
            arguments = self._arguments()
            if database is not None:
                arguments["database"] = database
            connection = await asyncpg.connect(
                **arguments, timeout=CONNECT_SECONDS, command_timeout=CALL_SECONDS, statement_cache_size=0
            )
            try:
                yield cast("Session", connection)
                await connection.close(timeout=CONNECT_SECONDS)
            finally:
                connection.terminate()


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """The driver's errors as ours. Their text can repeat a URI or names, and stays here."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError:
        raise Misconfigured(
            "settings_invalid",
            "The administrator's role lacks a right it needs on the PostgreSQL server.",
            "It needs CREATEDB and CREATEROLE, and to have made the roles it manages.",
        ) from None
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise Misconfigured(
            "settings_invalid", "The PostgreSQL server refused the administrator's role."
        ) from None
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError):
        raise Unavailable("provider_unavailable", "The PostgreSQL server cannot be reached.") from None
    except (asyncpg.PostgresError, asyncpg.InternalClientError) as error:
        state = cast("str", getattr(error, "sqlstate", "unknown"))
        raise Unavailable(
            "provider_unavailable", f"The PostgreSQL server refused a step (SQLSTATE {state})."
        ) from None
