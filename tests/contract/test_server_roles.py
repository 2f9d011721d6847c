"""Roles and rights on a server of one's own: what only there can be seen, or is only ours to give."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.providers.roles import Names
from support.servers import NewSpec, Server, lets_in


async def test_the_handle_is_the_databases_name_and_nobody_logs_in_as_its_owner(
    server: Server, new_spec: NewSpec
) -> None:
    made = await server.provider().create(new_spec())
    assert made.credentials.owner is None
    assert made.project_id == made.database_name
    assert made.branch_id is None


async def test_two_administrators_that_make_one_database_at_once_make_it_once(
    server: Server, new_spec: NewSpec
) -> None:
    spec = new_spec()
    made = await asyncio.gather(*(server.provider().create(spec) for _ in range(2)))
    assert sorted([await lets_in(each.credentials.writer) for each in made]) == [False, True]
    assert await server.objects_left(Names.of(spec.id)) == 4


async def test_no_role_of_a_tenant_has_any_attribute_or_membership(server: Server, new_spec: NewSpec) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    names = Names.of(spec.id)
    async with server.looking() as superuser:
        rows = await superuser.fetch("SELECT * FROM pg_roles WHERE rolname = ANY($1)", list(names.roles))
        members = await superuser.fetchval(
            "SELECT count(*) FROM pg_auth_members WHERE member = ANY($1::regrole[])", list(names.roles)
        )
        owner = await superuser.fetchval(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", names.database
        )
    assert len(rows) == 3
    for row in rows:
        rights = ("rolsuper", "rolcreatedb", "rolcreaterole", "rolreplication", "rolbypassrls")
        assert not any(row[right] for right in rights)
        assert row["rolcanlogin"] is (row["rolname"] != names.owner)
        if row["rolcanlogin"]:
            assert row["rolinherit"] is False
            assert row["rolconnlimit"] == 10
    assert members == 0
    assert owner == names.owner


async def test_what_a_role_raises_does_not_reach_the_servers_log_where_we_may_say_so(
    server: Server, new_spec: NewSpec
) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolconfig FROM pg_roles WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    said = ["log_min_messages=fatal" in row["rolconfig"] for row in rows]
    assert said == [server.hardens] * 2


@pytest.mark.parametrize(("kind", "limit"), [(Kind.AGENT, 10), (Kind.GLOBAL, 100)])
async def test_the_sessions_of_a_role_are_limited_by_how_many_agents_share_its_database(
    server: Server, new_spec: NewSpec, kind: Kind, limit: int
) -> None:
    spec = replace(new_spec(), kind=kind)
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    assert [row["rolconnlimit"] for row in rows] == [limit] * 2


async def test_creating_again_brings_an_older_builds_roles_up_to_this_ones(
    server: Server, new_spec: NewSpec
) -> None:
    spec = replace(new_spec(), kind=Kind.GLOBAL)
    await server.provider().create(spec)
    roles = "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = ANY($1) ORDER BY rolname"
    logins = Names.of(spec.id).logins
    async with server.looking() as superuser:
        made = await superuser.fetch(roles, list(logins))
        for role in logins:
            await superuser.execute(f"ALTER ROLE {role} CONNECTION LIMIT 10")
            await superuser.execute(f"ALTER ROLE {role} RESET ALL")
        await server.provider().create(spec)
        assert await superuser.fetch(roles, list(logins)) == made


async def test_only_ten_sessions_of_a_role_fit(server: Server, new_spec: NewSpec) -> None:
    made = await server.provider().create(new_spec())
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(asyncpg.connect(made.credentials.reader.reveal())) for _ in range(10)]
    assert not await lets_in(made.credentials.reader)
    for task in held:
        await task.result().close()


async def test_passwords_reach_the_server_as_verifiers_only(server: Server, new_spec: NewSpec) -> None:
    spec = new_spec()
    await server.provider().create(spec)
    async with server.looking() as superuser:
        rows = await superuser.fetch(
            "SELECT rolpassword FROM pg_authid WHERE rolname = ANY($1)", list(Names.of(spec.id).logins)
        )
    assert [row["rolpassword"].partition("$")[0] for row in rows] == ["SCRAM-SHA-256"] * 2


async def test_the_administrator_keeps_no_membership_it_only_borrowed(
    server: Server, new_spec: NewSpec
) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    await provider.pause(spec, made.project_id)
    names = Names.of(spec.id)
    async with server.looking() as superuser:
        usable_memberships = await superuser.fetchval(
            "SELECT count(*) FROM unnest($1::name[]) AS role WHERE pg_has_role($2, role, 'USAGE')"
            " OR pg_has_role($2, role, 'MEMBER') AND current_setting('server_version_num')::int < 160000",
            list(names.roles),
            dsn.arguments(server.admin.reveal())["user"],
        )
    assert usable_memberships == (3 if server.hardens else 0)
