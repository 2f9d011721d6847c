"""The same contract, kept by the Neon provider: the suite's own tests, with Neon behind them.

Left out is what holds only where the handle is the database's name and its owner is ours.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.roles import Names
from contract.test_provider_lifecycle import (
    test_a_deleted_database_can_be_made_anew_and_is_empty,
    test_creating_again_keeps_the_data_and_renews_the_passwords,
    test_deleting_a_paused_database_and_deleting_twice_succeed,
    test_deleting_what_never_was_succeeds,
    test_neighbours_are_not_touched,
    test_the_reader_sees_every_later_table_view_sequence_and_schema,
    test_the_roles_limits_are_set,
    usable,
)
from support.neon import Neon, neon_at
from support.postgres import connected
from support.servers import NewSpec, fresh_spec, lets_in

__all__ = [
    "test_a_deleted_database_can_be_made_anew_and_is_empty",
    "test_creating_again_keeps_the_data_and_renews_the_passwords",
    "test_deleting_a_paused_database_and_deleting_twice_succeed",
    "test_deleting_what_never_was_succeeds",
    "test_neighbours_are_not_touched",
    "test_the_reader_sees_every_later_table_view_sequence_and_schema",
    "test_the_roles_limits_are_set",
]


@dataclass(frozen=True, slots=True)
class NeonServer:
    """What the suite asks of a server."""

    neon: Neon
    superuser: ConnectionUri
    hardens: bool = False

    def provider(self) -> NeonProvider:
        return self.neon.provider

    def looking(self) -> Any:
        return connected(self.superuser)

    async def objects_left(self, names: Names) -> int:
        """Projects that bill, and roles under their own names."""
        async with self.looking() as superuser:
            query = "SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)"
            return len(self.neon.projects()) + await superuser.fetchval(query, list(names.roles))


@pytest.fixture
async def server(admin_uri: ConnectionUri) -> AsyncIterator[NeonServer]:
    async with neon_at(admin_uri) as neon:
        yield NeonServer(neon, admin_uri)


@pytest.fixture
def new_spec() -> NewSpec:
    return fresh_spec


async def test_a_made_database_is_the_writers_to_fill_and_the_readers_to_read(
    server: NeonServer, new_spec: NewSpec
) -> None:
    made = await server.provider().create(new_spec())
    assert await usable(made)
    assert made.credentials.owner is not None


async def test_creating_mends_what_a_tenant_did_to_its_own_role(
    server: NeonServer, new_spec: NewSpec
) -> None:
    spec = new_spec()
    made = await server.provider().create(spec)
    async with connected(made.credentials.writer) as writer:
        # The stand-in keeps "neondb" under another name.
        database = await writer.fetchval("SELECT quote_ident(current_database())")
        await writer.execute("ALTER ROLE CURRENT_USER SET search_path = evil")
        await writer.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET lock_timeout = 0")
        await writer.execute("ALTER ROLE CURRENT_USER PASSWORD 'known'")
    made = await server.provider().create(spec)
    assert await usable(made)
    async with connected(made.credentials.writer) as writer:
        assert await writer.fetchval("SHOW search_path") == "public, extensions"
        assert await writer.fetchval("SHOW lock_timeout") == "3s"


async def test_a_pause_refuses_both_roles_until_it_is_undone(server: NeonServer, new_spec: NewSpec) -> None:
    spec, provider = new_spec(), server.provider()
    made = await provider.create(spec)
    for _ in range(2):
        await provider.pause(spec, made.project_id)
    assert not await lets_in(made.credentials.writer)
    assert not await lets_in(made.credentials.reader)
    for _ in range(2):
        await provider.resume(spec, made.project_id)
    assert await usable(made)


async def test_pausing_or_resuming_what_is_not_there_says_so(server: NeonServer, new_spec: NewSpec) -> None:
    for act in (server.provider().pause, server.provider().resume):
        with pytest.raises(Missing) as refused:
            await act(new_spec(), "cold-bonus-12345678")
        assert refused.value.code == "database_not_found"
