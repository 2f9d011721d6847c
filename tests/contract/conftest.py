"""The servers every test of this room runs against."""

from collections.abc import Iterator

import pytest

from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.members import throwaway_server
from support.servers import Server, plain_administrator, system_binaries

SYSTEM = system_binaries()
"""Its version differs from the wheel's, so more is tried where there is one; nothing depends on it."""

KINDS = ["embedded, superuser", "embedded, plain administrator"]
if SYSTEM:
    KINDS += [f"PostgreSQL {SYSTEM.major}, superuser", f"PostgreSQL {SYSTEM.major}, plain administrator"]


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
    return Server(superuser if who == "superuser" else plain_administrator(superuser), superuser)
