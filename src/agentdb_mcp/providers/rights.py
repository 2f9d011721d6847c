"""What the administrator's role may do on its server, and what it therefore cannot harden."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import LiteralString

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.providers.binaries import OLDEST_MAJOR
from agentdb_mcp.providers.roles import SUPERUSER_SETTINGS, Names
from agentdb_mcp.providers.sessions import Session


@dataclass(frozen=True, slots=True)
class Rights:
    """Read once per call: an operator may change them at any time."""

    role: str
    superuser: bool
    major: int
    """The server's major version."""
    may_set: frozenset[str]
    """Which of roles.SUPERUSER_SETTINGS."""

    @classmethod
    async def of(cls, session: Session) -> "Rights":
        """Raises Misconfigured("settings_invalid") when they do not suffice to make databases."""
        found = await session.fetchrow(
            "SELECT rolname, rolsuper, rolcreatedb AND rolcreaterole AS enough,"
            " current_setting('server_version_num')::int / 10000 AS major"
            " FROM pg_roles WHERE rolname = current_user"
        )
        superuser, major = bool(found["rolsuper"]), int(found["major"])
        if major < OLDEST_MAJOR:
            raise Misconfigured(
                "settings_invalid",
                f"The server is PostgreSQL {major}; databases need {OLDEST_MAJOR} or newer.",
            )
        if not superuser and not found["enough"]:
            raise Misconfigured(
                "settings_invalid",
                f"The role {found['rolname']} may not make databases and roles on this server.",
                "As superuser: ALTER ROLE … CREATEDB CREATEROLE.",
            )
        may_set = frozenset(SUPERUSER_SETTINGS) if superuser else await _settable(session, major)
        return cls(found["rolname"], superuser, major, may_set)


@contextlib.asynccontextmanager
async def borrowed(session: Session, names: Names, rights: Rights) -> AsyncGenerator[None]:
    """Act as a member of the tenant's roles for a while: without superuser, owning takes membership."""
    present = await _present(session, names)
    if rights.superuser or not present:
        yield
        return
    # Before 16 membership inherits as the member's own attribute says; since then it is said per grant.
    terms: LiteralString = " WITH INHERIT TRUE, SET TRUE" if rights.major >= 16 else ""
    await session.execute(f"GRANT {present} TO CURRENT_USER{terms}")
    try:
        yield
    finally:
        if present := await _present(session, names):
            await session.execute(f"REVOKE {present} FROM CURRENT_USER")


async def _settable(session: Session, major: int) -> frozenset[str]:
    if major < 15:  # GRANT SET ON PARAMETER is not known yet
        return frozenset()
    rows = await session.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE has_parameter_privilege(name, 'SET')",
        list(SUPERUSER_SETTINGS),
    )
    return frozenset(row["name"] for row in rows)


async def _present(session: Session, names: Names) -> LiteralString:
    rows = await session.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY($1) AND rolname <> current_user", list(names.roles)
    )
    return ", ".join(quote_identifier(row["rolname"]) for row in rows)


async def unhardened(session: Session, names: Names, rights: Rights) -> tuple[str, ...]:
    """What is open that should not be, in words for the operator."""
    found = [*_without_superuser(rights)]
    others = await session.fetch(
        "SELECT datname FROM pg_database d WHERE datallowconn AND datname <> $1"
        " AND has_database_privilege($2::name, d.oid, 'CONNECT') ORDER BY datname",
        names.database,
        names.writer,
    )
    if others:
        listed = ", ".join(row["datname"] for row in others)
        found.append(
            f"Agents' roles may connect to other databases of this server: {listed}."
            " For each: REVOKE CONNECT, TEMP ON DATABASE … FROM PUBLIC."
        )
    if await session.fetchval("SELECT current_setting('max_prepared_transactions')::int") > 0:
        found.append(
            "max_prepared_transactions is not 0: a prepared transaction outlives its session's limits."
        )
    return tuple(found)


def _without_superuser(rights: Rights) -> list[str]:
    found: list[str] = []
    if unset := [setting for setting in SUPERUSER_SETTINGS if setting not in rights.may_set]:
        found.append(f"Not set on agents' roles, because only a superuser may: {', '.join(unset)}.")
    if not rights.superuser:
        found.append(
            "Built-in functions (large objects, advisory locks, WAL messages, server statistics) and shared"
            " catalogs (names of databases and roles, sessions) stay open to agents' roles."
        )
        found.append("The writer may install the extensions this server marks as trusted.")
    if not rights.superuser and rights.major < 15:
        found.append("Before PostgreSQL 15 the schema public lets every role create, the reader included.")
    return found


async def close_own_database(admin: Session) -> None:
    """The control plane's database is ours: no tenant connects to it. Another's is left alone."""
    found = await admin.fetchrow(
        "SELECT datname, has_database_privilege('public', oid, 'CONNECT, TEMP')"
        " AND pg_has_role(datdba, 'USAGE') AS ours_and_open"
        " FROM pg_database WHERE datname = current_database()"
    )
    if found["ours_and_open"]:
        await admin.execute(
            f"REVOKE CONNECT, TEMP ON DATABASE {quote_identifier(found['datname'])} FROM PUBLIC"
        )
