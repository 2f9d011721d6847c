"""What several rooms of tests share: one embedded PostgreSQL per run."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedPostgres]:
    """A server of this run's own. Its home can be passed (0711), so root's server account reaches it."""
    home = Path(tempfile.mkdtemp(prefix="agentdb-tests-", dir="/tmp"))
    home.chmod(0o711)
    server = asyncio.run(EmbeddedPostgres.open(home))
    yield server
    asyncio.run(server.close())
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def admin_uri(embedded: EmbeddedPostgres) -> ConnectionUri:
    return embedded.admin_uri
