"""Steps on one tenant's database and roles, in an administrator's session."""

from typing import Final

from agentdb_mcp.core.errors import Missing, Unavailable
from agentdb_mcp.core.identifiers import quote_identifier, quote_literal
from agentdb_mcp.providers import roles
from agentdb_mcp.providers.rights import Rights
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.sessions import Session, run

TERMINATE: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ANY($1)
"""

LABEL: Final = "SELECT 'agentdb ' || current_database()"
"""On every database we make: installations that share a server know their own by it."""


async def make_roles(admin: Session, names: Names, rights: Rights) -> None:
    """The three roles with their settings, closed; those that are there are set right."""
    present = await present_roles(admin, names)
    await run(admin, roles.make_roles(names, present, superuser=rights.superuser))
    for role in names.logins:
        await run(admin, roles.settings_of(role, reader=role == names.reader))
        await run(admin, roles.superuser_settings_of(role, rights.may_set))


async def make_database(admin: Session, names: Names, template: str) -> bool:
    """True when it was there already."""
    database, owner = quote_identifier(names.database), quote_identifier(names.owner)
    limit = await admin.fetchval("SELECT datconnlimit FROM pg_database WHERE datname = $1", names.database)
    if limit == -2:  # a DROP DATABASE was cut short: nothing but dropping it works
        await admin.execute(f"DROP DATABASE {database}")
    adopted = limit not in (None, -2)
    if adopted:
        await admin.execute(f"ALTER DATABASE {database} OWNER TO {owner}")
    else:
        # Closed until its rights are set: a new database lets everybody in.
        await admin.execute(
            f"CREATE DATABASE {database} OWNER {owner} TEMPLATE {quote_identifier(template)}"
            " ENCODING 'UTF8' ALLOW_CONNECTIONS false"
        )
    await run(admin, roles.grants_on_database(names))
    await admin.execute(f"COMMENT ON DATABASE {database} IS {quote_literal(await admin.fetchval(LABEL))}")
    await admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    return adopted


async def end_sessions(admin: Session, names: Names) -> None:
    """Raises Unavailable when they do not end."""
    for _ in range(20):
        if not await admin.fetch(TERMINATE, list(names.logins)):
            return
    raise Unavailable("provider_unavailable", "Sessions of an agent's roles did not end.", "Try again.")


async def present_roles(admin: Session, names: Names) -> list[str]:
    """Those of the three that exist."""
    rows = await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", list(names.roles))
    return [row["rolname"] for row in rows]


async def require(admin: Session, names: Names, project_id: str) -> None:
    """Raises Missing unless the database and its roles are there, under the handle that was recorded."""
    database = await admin.fetchval(
        "SELECT datname FROM pg_database WHERE datname = $1 AND datconnlimit <> -2", project_id
    )
    if database != names.database or len(await present_roles(admin, names)) < len(names.roles):
        raise Missing("database_not_found", "This database or one of its roles is not on the server.")
