"""Every failure of a server is one of ours: a code, words for whoever can act, and nothing of a URI."""

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.server import ServerProvider
from support.postgres import connected, run_sql
from support.servers import NewSpec, Server, fresh_spec, lets_in, plain_administrator, uri_of

CANARY = "canary-5d2e"


async def failure(uri: ConnectionUri) -> AgentDbError:
    """What every call of the protocol says about a server that cannot be worked with, which must be the same."""
    provider, spec = ServerProvider(uri), fresh_spec()
    calls = (
        provider.create(spec),
        provider.delete(spec, None),
        provider.observe(spec, None),
        provider.pause(spec, "d_x"),
        provider.resume(spec, "d_x"),
        provider.usage(spec, "d_x"),
    )
    failures = await asyncio.gather(*calls, return_exceptions=True)
    for each in failures:
        assert isinstance(each, AgentDbError), each
        assert CANARY not in "".join(traceback.format_exception(each)) + repr(each.as_dict())
    assert len({each.code for each in failures if isinstance(each, AgentDbError)}) == 1
    assert isinstance(failures[0], AgentDbError)
    return failures[0]


@asynccontextmanager
async def stranger(answer: bytes) -> AsyncIterator[int]:
    """Something on a port that is not PostgreSQL."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield front.sockets[0].getsockname()[1]
    front.close()


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        said = await failure(ConnectionUri(f"postgresql://admin:{CANARY}@127.0.0.1:{port}/postgres"))
    assert isinstance(said, Unavailable)
    assert said.code == "provider_unavailable"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"N", b"E\x00\x00\x00\x05\x00"])
async def test_something_else_on_the_port_is_unavailable(answer: bytes) -> None:
    async with stranger(answer) as port:
        said = await failure(ConnectionUri(f"postgresql://admin:{CANARY}@127.0.0.1:{port}/postgres"))
    assert said.code == "provider_unavailable"


async def test_a_name_that_leads_nowhere_is_unavailable() -> None:
    said = await failure(ConnectionUri(f"postgresql://admin:{CANARY}@nowhere.invalid/postgres"))
    assert said.code == "provider_unavailable"


async def test_a_wrong_password_is_the_operators_to_mend(server: Server) -> None:
    said = await failure(uri_of(server.admin, "agentdb_admin", CANARY, "postgres"))
    assert isinstance(said, Misconfigured)
    assert said.code == "settings_invalid"


async def test_an_administrator_without_the_rights_is_told_which_it_needs(
    server: Server, new_spec: NewSpec
) -> None:
    weak = await plain_administrator(server.superuser)
    role = dsn.arguments(weak.reveal())["user"]
    await run_sql(server.superuser, f"ALTER ROLE {role} NOCREATEDB")
    with pytest.raises(Misconfigured, match="CREATEDB CREATEROLE") as refused:
        await ServerProvider(weak).create(new_spec())
    assert refused.value.code == "settings_invalid"


async def test_another_administrators_database_is_not_taken_over(server: Server, new_spec: NewSpec) -> None:
    if server.hardens:
        return
    spec = new_spec()
    made = await server.provider().create(spec)
    async with server.looking() as superuser:
        major = int(await superuser.fetchval("SHOW server_version_num")) // 10_000
    rival = ServerProvider(await plain_administrator(server.superuser))
    if major >= 16:  # before, CREATEROLE was a right over every role that is not a superuser
        with pytest.raises(Misconfigured):
            await rival.create(spec)
        assert await lets_in(made.credentials.writer)
    else:
        assert (await rival.create(spec)).database_name == made.database_name


async def test_a_malformed_uri_is_refused_without_a_word_of_it(new_spec: NewSpec) -> None:
    for uri in (f"mysql://a:{CANARY}@h/d", f"postgresql://a:{CANARY}@h:port/d", CANARY):
        with pytest.raises(Misconfigured) as refused:
            await ServerProvider(ConnectionUri(uri)).create(new_spec())
        assert refused.value.code == "settings_invalid"
        assert CANARY not in "".join(traceback.format_exception(refused.value))


async def test_the_rest_of_the_uri_is_kept_for_the_tenants(server: Server, new_spec: NewSpec) -> None:
    plain = dsn.arguments(server.admin.reveal())
    uri = ConnectionUri(
        server.admin.reveal().replace("?sslmode=disable", "?sslmode=prefer&application_name=host")
    )
    made = await ServerProvider(uri).create(new_spec())
    async with connected(made.credentials.reader) as reader:
        assert await reader.fetchval("SHOW application_name") == "host"
    assert dsn.arguments(made.credentials.writer.reveal())["port"] == plain["port"]


def test_the_providers_name_is_the_one_it_was_given(server: Server) -> None:
    assert (server.provider().name, ServerProvider(server.admin, name="local").name) == ("server", "local")
