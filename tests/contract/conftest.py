"""The providers every test of this room runs against."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.houses import HOUSES, NEON, House, open_house
from support.members import throwaway_server
from support.servers import EMBEDDED_KINDS, KINDS, SYSTEM, NewSpec, Server, plain_administrator


@pytest.fixture(scope="session")
def system_server() -> Iterator[EmbeddedPostgres]:
    assert isinstance(SYSTEM, Binaries)
    with throwaway_server(SYSTEM) as server:
        yield server


@pytest.fixture(scope="session", params=HOUSES)
def ground(request: pytest.FixtureRequest) -> tuple[str, Server]:
    """What a house is built on: the stand-in for Neon is on the embedded server."""
    kind: str = request.param
    return kind, serving(request, EMBEDDED_KINDS[0] if kind == NEON else kind)


@pytest.fixture
async def house(ground: tuple[str, Server]) -> AsyncIterator[House]:
    """Every provider."""
    async with open_house(*ground) as house:
        yield house


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Server:
    """Every server, for what only a server has."""
    return serving(request, request.param)


@pytest.fixture
async def new_spec(server: Server) -> AsyncIterator[NewSpec]:
    """Databases for one test on a server."""
    async with open_house(EMBEDDED_KINDS[0], server) as house:
        yield house.new_spec


def serving(request: pytest.FixtureRequest, kind: str) -> Server:
    where, _, who = kind.partition(", ")
    running: EmbeddedPostgres = request.getfixturevalue(
        "embedded" if where == "embedded" else "system_server"
    )
    superuser = running.admin_uri
    admin = superuser if who == "superuser" else asyncio.run(plain_administrator(superuser))
    return Server(admin, superuser)
