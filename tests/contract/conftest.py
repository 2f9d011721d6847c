"""The servers every test of this room runs against."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from agentdb_mcp.core.databases import DatabaseSpec
from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.server import ServerProvider
from support.members import throwaway_server
from support.servers import KINDS, SYSTEM, NewSpec, Server, fresh_spec, plain_administrator


@pytest.fixture(scope="session")
def system_server() -> Iterator[EmbeddedPostgres]:
    assert isinstance(SYSTEM, Binaries)
    with throwaway_server(SYSTEM) as server:
        yield server


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Server:
    where, _, who = request.param.partition(", ")
    running: EmbeddedPostgres = request.getfixturevalue(
        "embedded" if where == "embedded" else "system_server"
    )
    superuser = running.admin_uri
    admin = superuser if who == "superuser" else asyncio.run(plain_administrator(superuser))
    return Server(admin, superuser)


@pytest.fixture
async def new_spec(server: Server) -> AsyncIterator[NewSpec]:
    """Databases for one test: hundreds that stay would fill the disk and slow the run down."""
    made: list[DatabaseSpec] = []

    def another() -> DatabaseSpec:
        made.append(fresh_spec())
        return made[-1]

    yield another
    for spec in made:
        await ServerProvider(server.superuser).delete(spec, None)
