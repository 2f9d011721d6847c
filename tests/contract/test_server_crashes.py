"""A call that breaks off at any step leaves nothing that the next call cannot mend."""

import pytest

from agentdb_mcp.core.databases import Observed, Provisioned
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected, run_sql
from support.servers import EMBEDDED_KINDS, NewSpec, Server, cut_after

MOST_STEPS = 120
STRIDE = 5


@pytest.mark.parametrize("server", EMBEDDED_KINDS, indirect=True)
async def test_a_create_cut_off_at_any_message_is_finished_by_the_next(
    server: Server, new_spec: NewSpec
) -> None:
    provider = server.provider()
    await provider.create(new_spec())  # what is done once per server is done
    codes: set[str] = set()
    for step in range(2, MOST_STEPS, STRIDE):
        spec = new_spec()
        async with cut_after(step, server.admin) as fragile:
            try:
                await ServerProvider(fragile).create(spec)
            except Unavailable as cut:
                codes.add(cut.code)
            else:
                break
        assert await works(server, await provider.create(spec), Names.of(spec.id))
    assert codes == {"provider_unavailable"}
    assert 20 < step < MOST_STEPS - STRIDE, "some were cut off, and some step was the last"


@pytest.mark.parametrize("server", EMBEDDED_KINDS, indirect=True)
async def test_a_delete_cut_off_at_any_message_is_finished_by_the_next(
    server: Server, new_spec: NewSpec
) -> None:
    provider = server.provider()
    codes: set[str] = set()
    for step in range(2, MOST_STEPS, STRIDE):
        spec = new_spec()
        made = await provider.create(spec)
        async with cut_after(step, server.admin) as fragile:
            try:
                await ServerProvider(fragile).delete(spec, made.project_id)
            except Unavailable as cut:
                codes.add(cut.code)
            else:
                break
        await provider.delete(spec, made.project_id)
        assert await server.objects_left(Names.of(spec.id)) == 0
    assert codes == {"provider_unavailable"}
    assert 5 < step < MOST_STEPS - STRIDE


async def lose_reader(server: Server, names: Names) -> None:
    async with server.looking(names.database) as inside:
        await inside.execute(f"DROP OWNED BY {names.reader}")
        await inside.execute(f"DROP ROLE {names.reader}")


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER DATABASE {0.database} ALLOW_CONNECTIONS false",
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{0.database}'",
        "GRANT CONNECT, TEMP ON DATABASE {0.database} TO PUBLIC",
        "ALTER ROLE {0.writer} NOLOGIN",
        "ALTER ROLE {0.writer} RESET ALL",
        "ALTER ROLE {0.writer} INHERIT CONNECTION LIMIT -1",
    ],
)
async def test_what_is_broken_or_half_there_is_mended(server: Server, damage: str, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    await provider.create(spec)
    names = Names.of(spec.id)
    async with server.looking() as superuser:
        await superuser.execute(damage.format(names))
    assert await works(server, await provider.create(spec), names)


async def test_a_database_that_lacks_a_role_counts_as_not_there_and_is_mended(
    server: Server, new_spec: NewSpec
) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await run_sql(made.credentials.writer, "CREATE TABLE kept AS SELECT 42 AS answer")
    await lose_reader(server, Names.of(spec.id))
    assert await provider.observe(spec, made.project_id) is Observed.DELETED
    made = await provider.create(spec)
    assert await works(server, made, Names.of(spec.id))
    async with connected(made.credentials.writer) as writer:
        assert await writer.fetchval("SELECT answer FROM kept") == 42


async def works(server: Server, made: Provisioned, names: Names) -> bool:
    """As good as new."""
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS one; CREATE TABLE u ()")
        assert await reader.fetchval("SELECT one FROM s.t") == 1
        assert await writer.fetchval("SHOW statement_timeout") == "30s"
        row = await writer.fetchrow(
            "SELECT has_database_privilege('public', current_database(), 'TEMP') AS temp"
        )
    return not row["temp"] and await server.strangers_let_in(names) == []


async def test_one_open_role_is_neither_active_nor_paused(server: Server, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    async with server.looking() as superuser:
        await superuser.execute(f"ALTER ROLE {Names.of(spec.id).reader} NOLOGIN")
    assert await provider.observe(spec, made.project_id) is Observed.UNKNOWN
    await provider.resume(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
