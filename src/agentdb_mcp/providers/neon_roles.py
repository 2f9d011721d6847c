"""The agents' roles inside one Neon database, made by SQL.

Roles made through Neon's API are members of `neon_superuser`: they read and write everything.
"""

from dataclasses import dataclass
from typing import Final, LiteralString

from agentdb_mcp.core.databases import Credentials, DatabaseSpec, Kind
from agentdb_mcp.core.identifiers import quote_identifier, quote_literal
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers import roles
from agentdb_mcp.providers.neon_session import connected, for_role
from agentdb_mcp.providers.rights import Rights, borrowed, unhardened
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.scram import new_password
from agentdb_mcp.providers.sessions import Session, run
from agentdb_mcp.providers.template import install_extensions

WHERE_AM_I: Final = "SELECT current_database() AS database, current_user AS owner"


@dataclass(frozen=True, slots=True)
class Furnished:
    """A database with its agents' roles."""

    database: str
    credentials: Credentials
    unhardened: tuple[str, ...]
    """What could not be hardened, in words for the operator."""


async def furnish(owner: ConnectionUri, spec: DatabaseSpec) -> Furnished:
    """Make or mend the writer and the reader, with fresh passwords."""
    async with connected(owner) as session:
        names = await _names(session, spec.id)
        rights = await Rights.of(session)
        await _make_roles(session, names, rights)
        async with borrowed(session, names, rights):
            await run(session, roles.grants_on_database(names))
            await install_extensions(session, trusted_only=True)
            await run(session, roles.grants_within(names))
        writer, reader = new_password(), new_password()
        logins = ((names.writer, writer), (names.reader, reader))
        await run(session, [_let_in(role, password, spec.kind) for role, password in logins])
        open_ends = await unhardened(session, names, rights)
    credentials = Credentials(
        owner=owner,
        writer=for_role(owner, names.writer, writer),
        reader=for_role(owner, names.reader, reader),
    )
    return Furnished(names.database, credentials, open_ends)


async def _names(session: Session, database_id: DatabaseId) -> Names:
    """Our names for the roles; the database's and the owner's are what Neon says they are."""
    ours = Names.of(database_id)
    found = await session.fetchrow(WHERE_AM_I)
    return Names(found["database"], found["owner"], ours.writer, ours.reader)


async def _make_roles(session: Session, names: Names, rights: Rights) -> None:
    rows = await session.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", list(names.logins))
    present = {row["rolname"] for row in rows}
    for role in names.logins:
        await run(session, [roles.make_role(role, present=role in present, superuser=False)])
        await run(session, roles.settings_of(role, reader=role == names.reader))
        await run(session, roles.superuser_settings_of(role, rights.may_set))


def _let_in(role: str, password: str, kind: Kind) -> LiteralString:
    """In plain text: Neon refuses verifiers. The way there is encrypted, the password has 256 random bits."""
    return (
        f"ALTER ROLE {quote_identifier(role)} LOGIN CONNECTION LIMIT {roles.CONNECTIONS[kind]}"
        f" PASSWORD {quote_literal(password)}"
    )
