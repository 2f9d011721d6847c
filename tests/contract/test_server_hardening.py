"""What the set-up closes, what it reports as open, and that an agent's ordinary work still goes through."""

import pytest

from agentdb_mcp.core.databases import Provisioned
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected, run_sql
from support.servers import NewSpec, Server, fresh_spec, plain_administrator

ROLES = ["writer", "reader"]


@pytest.fixture(scope="module")
def made_once() -> dict[Server, Provisioned]:
    return {}


@pytest.fixture
async def made(server: Server, made_once: dict[Server, Provisioned]) -> Provisioned:
    """One database per server for the tests that only look."""
    if server not in made_once:
        made_once[server] = await server.provider().create(fresh_spec())
        await run_sql(
            made_once[server].credentials.writer,
            """
            CREATE TYPE mood AS ENUM ('low', 'high');
            CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
            CREATE TABLE people (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email email NOT NULL UNIQUE,
                name varchar(40) DEFAULT 'nobody', mood mood, tags text[], during tstzrange,
                shout text GENERATED ALWAYS AS (upper(name)) STORED
            );
            CREATE TABLE visits (person bigint REFERENCES people ON DELETE CASCADE, at timestamptz DEFAULT now());
            CREATE INDEX visits_at ON visits (at DESC) WHERE person IS NOT NULL;
            CREATE VIEW happy AS SELECT name FROM people WHERE mood = 'high';
            CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE RETURN i * 2;
            COMMENT ON TABLE people IS 'who is who';
            INSERT INTO people (email, mood) VALUES ('a@b', 'high');
            """,
        )
    return made_once[server]


async def test_a_superuser_leaves_nothing_open_and_others_say_what_they_had_to(
    server: Server, made: Provisioned
) -> None:
    said = " ".join(made.unhardened)
    if server.hardens:
        assert said == ""
    else:
        for matter in ("temp_file_limit", "log_min_messages", "large objects", "extensions"):
            assert matter in said


async def test_other_databases_that_let_everybody_in_are_reported(server: Server, new_spec: NewSpec) -> None:
    async with server.looking() as superuser:
        await superuser.execute("CREATE DATABASE somebody_elses")
        try:
            made = await server.provider().create(new_spec())
        finally:
            await superuser.execute("DROP DATABASE somebody_elses")
    assert any("somebody_elses" in each for each in made.unhardened)


async def test_the_administrators_own_database_is_closed_to_the_public(
    server: Server, new_spec: NewSpec
) -> None:
    admin_uri = await plain_administrator(server.superuser, open_to_all=True)
    await ServerProvider(admin_uri).create(new_spec())
    async with connected(admin_uri) as admin:
        open_to_all = await admin.fetchval(
            "SELECT has_database_privilege('public', current_database(), 'CONNECT')"
            " OR has_database_privilege('public', current_database(), 'TEMP')"
        )
    assert open_to_all is False


@pytest.mark.parametrize("role", ROLES)
async def test_every_view_of_the_information_schema_is_readable(made: Provisioned, role: str) -> None:
    async with connected(getattr(made.credentials, role)) as tenant:
        views = await tenant.fetch(
            "SELECT table_name FROM information_schema.views WHERE table_schema = 'information_schema'"
        )
        assert len(views) > 50
        for view in views:
            await tenant.fetch(f"SELECT * FROM information_schema.{view['table_name']}")
        columns = await tenant.fetch(
            "SELECT column_name, data_type, character_octet_length FROM information_schema.columns"
            " WHERE table_name = 'people' ORDER BY ordinal_position"
        )
        assert ("name", "character varying", 160) in [tuple(each) for each in columns]


DESCRIBING = {
    "tables": """
        SELECT n.nspname, c.relname, c.relkind, obj_description(c.oid), pg_get_userbyid(c.relowner), c.reltuples,
               pg_total_relation_size(c.oid), pg_size_pretty(pg_table_size(c.oid)), pg_table_is_visible(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'people'::regclass""",
    "columns": """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum), t.typtype,
               pg_get_serial_sequence('people', a.attname)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = 'people'::regclass AND a.attnum > 0 AND NOT a.attisdropped""",
    "indexes": """
        SELECT pg_get_indexdef(indexrelid), pg_get_expr(indpred, indrelid), pg_relation_size(indexrelid)
        FROM pg_index WHERE indrelid = 'visits'::regclass""",
    "constraints": """
        SELECT conname, contype, pg_get_constraintdef(oid), confrelid::regclass FROM pg_constraint
        WHERE conrelid = 'visits'::regclass""",
    "enums": "SELECT t.typname, array_agg(enumlabel) FROM pg_enum e JOIN pg_type t ON t.oid = enumtypid GROUP BY 1",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "functions": "SELECT pg_get_functiondef('twice(int)'::regprocedure), pg_get_function_arguments('twice(int)'::regprocedure)",
    "statistics": "SELECT relname, seq_scan, n_live_tup, last_analyze FROM pg_stat_user_tables",
    "index use": "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes",
    "columns' statistics": "SELECT attname, n_distinct FROM pg_stats WHERE schemaname = 'public'",
    "extensions": "SELECT extname FROM pg_extension",
    "available extensions": "SELECT name FROM pg_available_extensions",
    "sequences": "SELECT sequencename, last_value FROM pg_sequences",
    "privileges": "SELECT has_table_privilege('people', 'SELECT'), has_schema_privilege('public', 'CREATE')",
    "time zones": "SELECT count(*) FROM pg_timezone_names WHERE name = 'UTC'",
    "this session": "SELECT current_user, current_database(), version(), pg_backend_pid(), txid_current_if_assigned()",
    "settings": "SELECT current_setting('server_version_num'), set_config('application_name', 'x', true)",
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("what", DESCRIBING)
async def test_an_agent_can_describe_what_is_its_own(made: Provisioned, role: str, what: str) -> None:
    async with connected(getattr(made.credentials, role)) as tenant:
        assert await tenant.fetch(DESCRIBING[what]) != [] or what == "columns' statistics"


ORDINARY = {
    "a transaction with savepoints": "BEGIN; SAVEPOINT a; INSERT INTO people (email) VALUES ('c@d'); ROLLBACK TO a; COMMIT",
    "a schema of its own": "CREATE SCHEMA mine; CREATE TABLE mine.t (i int); DROP SCHEMA mine CASCADE",
    "a function in plpgsql": "CREATE OR REPLACE FUNCTION p() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end'; SELECT p()",
    "a trigger": "CREATE OR REPLACE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';"
    " CREATE OR REPLACE TRIGGER tr BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION tr()",
    "a materialized view": "CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one; REFRESH MATERIALIZED VIEW mv; DROP MATERIALIZED VIEW mv",
    "text search": "SELECT to_tsvector('english', 'cats') @@ to_tsquery('english', 'cat')",
    "json": "SELECT jsonb_path_query('[1, 2]', '$[*] ? (@ > 1)')",
    "analyze and vacuum": "ANALYZE people",
    "comments": "COMMENT ON COLUMN people.name IS 'the name'",
    "row security": "ALTER TABLE visits ENABLE ROW LEVEL SECURITY; ALTER TABLE visits DISABLE ROW LEVEL SECURITY",
    "random values": "SELECT gen_random_uuid(), random(), clock_timestamp(), nextval(pg_get_serial_sequence('people', 'id'))",
    "an installed extension named again": "CREATE EXTENSION IF NOT EXISTS plpgsql",
}


@pytest.mark.parametrize("what", ORDINARY)
async def test_the_writers_ordinary_work_goes_through(made: Provisioned, what: str) -> None:
    async with connected(made.credentials.writer) as writer:
        assert await writer.execute(ORDINARY[what])


async def test_allowed_extensions_work_without_a_prefix(server: Server, made: Provisioned) -> None:
    uses = {
        "citext": "SELECT 'A'::citext = 'a'",
        "pg_trgm": "SELECT similarity('word', 'words') > 0.5",
        "hstore": "SELECT ('a=>1'::hstore -> 'a') = '1'",
        "ltree": "SELECT 'a.b'::ltree <@ 'a'::ltree",
        "unaccent": "SELECT unaccent('é') = 'e'",
        "vector": "SELECT '[1,2]'::vector <-> '[1,2]'::vector = 0",
        "pgcrypto": "SELECT length(gen_random_bytes(4)) = 4",
    }
    async with connected(made.credentials.reader) as reader:
        installed = {row["extname"] for row in await reader.fetch("SELECT extname FROM pg_extension")}
        assert {"citext", "pg_trgm", "hstore"} <= installed
        for extension in installed & uses.keys():
            assert await reader.fetchval(uses[extension]) is True
        if server.hardens:
            async with connected(made.credentials.writer) as writer:
                for extension in installed:
                    await writer.execute(f'CREATE EXTENSION IF NOT EXISTS "{extension}"')


async def test_a_tenants_objects_do_not_run_when_its_database_is_mended(
    server: Server, new_spec: NewSpec
) -> None:
    """Whatever they are called: the administrator's session looks in pg_catalog alone."""
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await run_sql(
        made.credentials.writer,
        "CREATE TABLE sprung (by name)",
        *(
            f"CREATE FUNCTION public.{signature} LANGUAGE plpgsql AS"
            f" $$ BEGIN INSERT INTO public.sprung VALUES (session_user); RETURN NULL; END $$"
            for signature in (
                "format(text, regprocedure) RETURNS text",
                "format(text, regclass) RETURNS text",
                "array_to_string(text[], text) RETURNS text",
                "current_setting(text) RETURNS text",
                "sneaky(name, text) RETURNS boolean",
            )
        ),
        "CREATE OPERATOR public.~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.sneaky)",
        "CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.sneaky)",
        "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.sneaky)",
        "CREATE TABLE public.pg_proc (oid oid); CREATE TABLE public.pg_available_extensions (name text)",
    )
    made = await provider.create(spec)
    async with connected(made.credentials.reader) as reader:
        assert await reader.fetchval("SELECT count(*) FROM public.sprung") == 0
        if server.hardens:
            assert await reader.fetchval("SELECT has_function_privilege('lo_creat(int)', 'EXECUTE')") is False


async def test_the_template_lets_nobody_in_and_is_made_once(server: Server, new_spec: NewSpec) -> None:
    await server.provider().create(new_spec())
    await server.provider().create(new_spec())
    async with server.looking() as superuser:
        templates = await superuser.fetch(
            r"SELECT datallowconn, datacl::text FROM pg_database WHERE datname LIKE 't\_%'"
        )
    if server.hardens:
        assert len(templates) == 1
        assert templates[0]["datallowconn"] is False
        assert "=Tc/" not in templates[0]["datacl"].replace("agentdb_admin=", "")


async def test_a_template_left_half_made_is_made_again(server: Server, new_spec: NewSpec) -> None:
    if not server.hardens:
        return
    async with server.looking() as superuser:
        template = await superuser.fetchval(r"SELECT datname FROM pg_database WHERE datname LIKE 't\_%'")
        await superuser.execute(f"ALTER DATABASE {template} RENAME TO {template}_draft")
    made = await server.provider().create(new_spec())
    assert made.unhardened == ()
    async with server.looking() as superuser:
        left = await superuser.fetch(r"SELECT datname FROM pg_database WHERE datname LIKE 't\_%'")
    assert [row["datname"] for row in left] == [template]


def test_names_are_opaque_and_derive_from_the_id(new_spec: NewSpec) -> None:
    spec = new_spec()
    names = Names.of(spec.id)
    assert names == Names.of(spec.id)
    assert {name[2:] for name in (names.database, *names.roles)} == {spec.id.replace("-", "")}
