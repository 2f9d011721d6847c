"""What several rooms of tests share: one embedded PostgreSQL per run."""

import asyncio
import gc
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings as hypothesis_settings

from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.store import Keys, Store, open_keys
from support.members import throwaway_server
from support.postgres import own_database

# A busy machine is not a failure: no test of ours asserts wall-clock time.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: not looked through again whenever garbage is collected."""
    gc.collect()
    gc.freeze()


def new_keys() -> Keys:
    return open_keys(KeyText(secrets.token_hex(32)), (), None)


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedPostgres]:
    """A server of this run's own."""
    with throwaway_server() as server:
        yield server


@pytest.fixture(scope="session")
def admin_uri(embedded: EmbeddedPostgres) -> ConnectionUri:
    return embedded.admin_uri


@pytest.fixture(scope="session")
def migrated_uri(admin_uri: ConnectionUri) -> Iterator[ConnectionUri]:
    """A control plane that nobody uses, to be copied: that is quicker than to migrate each test's."""

    async def migrate() -> None:
        store = await Store.open(uri, new_keys())
        await store.migrate()
        await store.close()

    with own_database(admin_uri) as uri:
        asyncio.run(migrate())
        yield uri


@pytest.fixture
def control_uri(request: pytest.FixtureRequest, admin_uri: ConnectionUri) -> Iterator[ConnectionUri]:
    """A database for one test, of a role that owns it and may do nothing else: empty, or the `store`'s."""
    wants_store = "store" in request.fixturenames
    with own_database(admin_uri, request.getfixturevalue("migrated_uri") if wants_store else None) as uri:
        yield uri


@pytest.fixture
def keys() -> Keys:
    return new_keys()


@pytest.fixture
async def store(control_uri: ConnectionUri, keys: Keys) -> AsyncIterator[Store]:
    """A control plane for one test, with the schema of this build."""
    opened = await Store.open(control_uri, keys)
    await opened.migrate()
    yield opened
    await opened.close()
