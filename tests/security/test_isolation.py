"""A tenant's roles against everything that is not theirs: raw SQL, no guard, a real PostgreSQL that refuses.

docs/explanation/isolation.md says in words what is held here, and what is not.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Credentials
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.roles import Names
from support.isolation import ANYWHERE, HARDENED, PRIVILEGE, READER_WRITES, flatten
from support.postgres import connected, run_sql
from support.servers import Server, fresh_spec, plain_administrator

ROLES = ["writer", "reader"]


@dataclass(frozen=True, slots=True)
class Tenants:
    """Two tenants of one server: the one who tries, and its neighbour with a secret."""

    server: Server
    own: Names
    own_credentials: Credentials
    neighbour: Names
    neighbour_credentials: Credentials
    neighbour_oid: int
    template: str

    def uri(self, role: str) -> ConnectionUri:
        return getattr(self.own_credentials, role)

    async def neighbour_is_untouched(self) -> bool:
        async with connected(self.neighbour_credentials.reader) as neighbour:
            return await neighbour.fetchval("SELECT text FROM secret") == "of B"


async def two_tenants(server: Server) -> Tenants:
    specs = fresh_spec(), fresh_spec()
    own, neighbour = [await server.provider().create(spec) for spec in specs]
    await run_sql(
        own.credentials.writer,
        """
        CREATE TABLE notes (text text); INSERT INTO notes VALUES ('of A');
        CREATE INDEX notes_text ON notes (text);
        CREATE VIEW notes_view AS SELECT * FROM notes;
        CREATE MATERIALIZED VIEW old_notes AS SELECT * FROM notes;
        CREATE TABLE measured (text text, length int);
        CREATE SEQUENCE counter;
        CREATE FUNCTION write_a_note() RETURNS void LANGUAGE sql AS $$ INSERT INTO notes VALUES ('mine') $$;
        CREATE PROCEDURE write_two_notes() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES ('1'), ('2'); END $$;
        """,
    )
    await run_sql(
        neighbour.credentials.writer, "CREATE TABLE secret (text text); INSERT INTO secret VALUES ('of B')"
    )
    names = [Names.of(spec.id) for spec in specs]
    async with server.looking() as superuser:
        oid = await superuser.fetchval("SELECT oid FROM pg_database WHERE datname = $1", names[1].database)
        template = await superuser.fetchval(r"SELECT datname FROM pg_database WHERE datname LIKE 't\_%'")
    return Tenants(
        server, names[0], own.credentials, names[1], neighbour.credentials, oid, template or "template1"
    )


@pytest.fixture(scope="module")
def hardened(embedded: EmbeddedPostgres) -> Tenants:
    """As the embedded server makes them: its administrator is a superuser."""
    return asyncio.run(two_tenants(Server(embedded.admin_uri, embedded.admin_uri)))


@pytest.fixture(scope="module", params=["superuser", "plain administrator"])
def tenants(request: pytest.FixtureRequest, embedded: EmbeddedPostgres) -> Iterator[Tenants]:
    """The same, and as a role with CREATEDB and CREATEROLE makes them."""
    if request.param == "superuser":
        yield request.getfixturevalue("hardened")
        return
    administrator = asyncio.run(plain_administrator(embedded.admin_uri))
    yield asyncio.run(two_tenants(Server(administrator, embedded.admin_uri)))


async def attempt(tenants: Tenants, role: str, statement: str) -> str:
    """The SQLSTATE that `statement` ends with; "done" when it went through."""
    if "_pid}" in statement:
        return await attempt_on_sessions(tenants, role, statement)
    values = {
        "a": tenants.own,
        "b": tenants.neighbour,
        "b_oid": tenants.neighbour_oid,
        "template": tenants.template,
    }
    async with connected(tenants.uri(role)) as own:
        await own.execute("SET default_transaction_read_only = off")
        try:
            await own.execute(statement.format(**values))
        except asyncpg.PostgresError as refused:
            return str(getattr(refused, "sqlstate", ""))
    return "done"


async def attempt_on_sessions(tenants: Tenants, role: str, statement: str) -> str:
    """The same where somebody else's sessions are meant, which must survive it."""
    async with (
        connected(tenants.neighbour_credentials.writer) as neighbour,
        connected(tenants.own_credentials.writer) as writer,
        tenants.server.looking() as superuser,
    ):
        sessions = {"b_pid": neighbour, "writer_pid": writer, "admin_pid": superuser}
        for name, session in sessions.items():
            statement = statement.replace(f"{{{name}}}", str(session.get_server_pid()))
        outcome = await attempt(tenants, role, statement)
        assert [await session.fetchval("SELECT 1") for session in sessions.values()] == [1, 1, 1]
    return outcome


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("state", "statement"), flatten(ANYWHERE))
async def test_postgres_refuses_whoever_set_it_up(
    tenants: Tenants, role: str, state: str, statement: str
) -> None:
    assert await attempt(tenants, role, statement) in {state, PRIVILEGE}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("state", "statement"), flatten(HARDENED))
async def test_postgres_refuses_what_a_superuser_closed(
    hardened: Tenants, role: str, state: str, statement: str
) -> None:
    assert await attempt(hardened, role, statement) in {state, PRIVILEGE}


@pytest.mark.parametrize(("state", "statement"), flatten(READER_WRITES))
async def test_postgres_refuses_every_way_of_writing_as_the_reader(
    tenants: Tenants, state: str, statement: str
) -> None:
    assert await attempt(tenants, "reader", statement) == state
    async with connected(tenants.own_credentials.writer) as writer:
        assert await writer.fetchval("SELECT array_agg(text) FROM notes") == ["of A"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "database", ["neighbour", "agentdb_control", "postgres", "template0", "template1", "template"]
)
async def test_no_other_database_lets_a_tenant_in(tenants: Tenants, role: str, database: str) -> None:
    names = {"neighbour": tenants.neighbour.database, "template": tenants.template}
    arguments = {**dsn.arguments(tenants.uri(role).reveal()), "database": names.get(database, database)}
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
        await asyncpg.connect(**arguments)


@pytest.mark.parametrize("role", ROLES)
async def test_no_tenant_replicates(tenants: Tenants, role: str) -> None:
    arguments = dsn.arguments(tenants.uri(role).reveal())
    for how in ("true", "database"):
        with pytest.raises(
            (
                asyncpg.InvalidAuthorizationSpecificationError,
                asyncpg.TooManyConnectionsError,
                asyncpg.InsufficientPrivilegeError,
            )
        ):
            await asyncpg.connect(**{**arguments, "server_settings": {"replication": how}})


@pytest.mark.parametrize("role", ROLES)
async def test_a_neighbours_password_is_not_ones_own(tenants: Tenants, role: str) -> None:
    arguments = dsn.arguments(tenants.uri(role).reveal())
    for other in (*tenants.neighbour.logins, tenants.own.owner, "agentdb_admin", "agentdb_control"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(**{**arguments, "user": other, "database": tenants.neighbour.database})


WITHOUT_EFFECT = {
    "GRANT CONNECT ON DATABASE {a.database} TO {b.writer}": (
        "SELECT has_database_privilege('{b.writer}', '{a.database}', 'CONNECT')"
    ),
    "GRANT TEMP ON DATABASE {a.database} TO CURRENT_USER": (
        "SELECT has_database_privilege('{a.writer}', '{a.database}', 'TEMP')"
    ),
    "GRANT ALL ON SCHEMA public TO PUBLIC": "SELECT has_schema_privilege('public', 'public', 'CREATE')",
    "GRANT ALL ON ALL TABLES IN SCHEMA pg_catalog TO PUBLIC": (
        "SELECT has_table_privilege('{a.writer}', 'pg_authid', 'SELECT')"
    ),
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO PUBLIC": (
        "SELECT has_function_privilege('{a.writer}', 'pg_ls_dir(text)', 'EXECUTE')"
    ),
    "VACUUM pg_authid": "SELECT false",
    "ANALYZE pg_database": "SELECT false",
}
"""PostgreSQL answers these with a warning instead of an error: what counts is that nothing changed."""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("statement", WITHOUT_EFFECT)
async def test_what_is_only_warned_about_changes_nothing(tenants: Tenants, role: str, statement: str) -> None:
    names = {"a": tenants.own, "b": tenants.neighbour}
    assert await attempt(tenants, role, statement) in {"done", PRIVILEGE}
    async with tenants.server.looking(tenants.own.database) as superuser:
        assert await superuser.fetchval(WITHOUT_EFFECT[statement].format(**names)) is False


async def test_a_notification_does_not_cross_databases(tenants: Tenants) -> None:
    heard: list[str] = []
    async with (
        connected(tenants.neighbour_credentials.writer) as neighbour,
        connected(tenants.own_credentials.writer) as own,
        connected(tenants.own_credentials.writer) as listener,
    ):
        await neighbour.add_listener("shared", lambda *_: heard.append("neighbour"))
        await listener.add_listener("shared", lambda *_: heard.append("own"))
        await own.execute("NOTIFY shared")
        await listener.fetchval("SELECT 1")
        await neighbour.fetchval("SELECT 1")
        await neighbour.remove_listener("shared", heard.append)
    assert heard == ["own"]


async def test_locks_do_not_cross_databases(tenants: Tenants) -> None:
    async with connected(tenants.own_credentials.writer) as own, own.transaction():
        await own.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
        assert await tenants.neighbour_is_untouched()


async def test_the_neighbour_is_untouched_after_all_of_this(tenants: Tenants) -> None:
    assert await tenants.neighbour_is_untouched()


STILL_POSSIBLE = {
    "own password": "ALTER ROLE CURRENT_USER PASSWORD 'known'",
    "own defaults": "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
    "session settings": "SET work_mem = '1GB'; SET statement_timeout = 0; SELECT set_config('lock_timeout', '0', false)",
    "notifications": "LISTEN x; NOTIFY x",
    "code blocks": "DO $$ BEGIN NULL; END $$",
    "role names by number": "SELECT 10::regrole, pg_get_userbyid(10)",
    "ending sessions of the same role": "SELECT pg_terminate_backend(pg_backend_pid() + 1000000)",
    "sleeping": "SELECT pg_sleep(0)",
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("what", STILL_POSSIBLE)
async def test_what_the_documentation_says_stays_possible_does(
    hardened: Tenants, role: str, what: str
) -> None:
    """Not promises but facts: when one changes, docs/explanation/isolation.md and the guard's reasons change."""
    statement = STILL_POSSIBLE[what]
    assert await attempt(hardened, role, f"BEGIN; {statement}; ROLLBACK") == "done"


async def test_the_writer_can_hand_the_reader_its_own_rights(hardened: Tenants) -> None:
    """Both roles are one tenant's: the line between them protects from mistakes, not from the writer."""
    async with connected(hardened.own_credentials.writer) as writer:
        await writer.execute(
            "CREATE FUNCTION write_as_owner() RETURNS void LANGUAGE sql SECURITY DEFINER"
            " AS $$ INSERT INTO public.measured VALUES ('by the reader', 1) $$"
        )
    assert await attempt(hardened, "reader", "SELECT write_as_owner()") == "done"
