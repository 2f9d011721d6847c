"""Who reaches which database: the gate comes first, and what is remembered is true."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from agentdb_mcp.core.databases import Desired, Kind
from agentdb_mcp.core.errors import Denied, Missing
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.schema import Budget
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.services.access import AccessService, Premises
from agentdb_mcp.store import Changes, Store
from support.lives import ADA, BEN, RESEARCH, active_agent, active_global, found
from support.postgres import connected, run_sql
from support.waiting import until


@pytest.fixture
async def changes(store: Store) -> AsyncIterator[Changes]:
    async with store.changes() as heard:
        await until(lambda: asyncio.sleep(0, heard.version is not None))
        yield heard


@pytest.fixture
def access(store: Store, changes: Changes) -> AccessService:
    return AccessService(store, changes)


async def test_a_caller_reaches_its_own_two_databases(store: Store, access: AccessService) -> None:
    shared, own = await active_global(store), await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    assert (await access.resolve(principal, Kind.AGENT)).database_id == own.id
    assert (await access.resolve(principal, Kind.GLOBAL)).database_id == shared.id
    assert (principal.user_id, principal.workspace_id) == (ADA, RESEARCH)


async def test_each_kind_is_judged_by_its_policy(store: Store, access: AccessService) -> None:
    await active_global(store)
    await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    assert [(await access.resolve(principal, kind)).policy for kind in Kind] == ["agent", "global"]


async def test_a_budget_is_known_once_it_was_metered(
    store: Store, access: AccessService, control_uri: ConnectionUri
) -> None:
    await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    assert await access.budget(principal) is None
    await run_sql(
        control_uri,
        "INSERT INTO user_db_budget (user_id) VALUES ('ada') ON CONFLICT DO NOTHING",
        "UPDATE user_db_budget SET total_cost_cents = 320, custom_budget_cents = 500, last_sync = '2026-01-02'",
    )
    spent = Budget(320, 500, exceeded=False, as_of=datetime(2026, 1, 2, tzinfo=UTC))
    assert await access.budget(principal) == spent


async def test_an_unknown_workspace_is_nobody(access: AccessService) -> None:
    with pytest.raises(Missing) as missing:
        await access.authenticate_workspace(WorkspaceId("nowhere"))
    assert missing.value.code == "workspace_not_found"


async def test_a_resolution_is_remembered_until_a_row_changes(
    store: Store, access: AccessService, changes: Changes
) -> None:
    own = await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    heard = changes.version
    await until(lambda: asyncio.sleep(0, changes.version == heard))
    first = await access.resolve(principal, Kind.AGENT)
    assert await access.resolve(principal, Kind.AGENT) is first
    before = changes.version
    await store.pause(own.id)
    await until(lambda: asyncio.sleep(0, changes.version != before))
    with pytest.raises(Denied) as denied:
        await access.resolve(principal, Kind.AGENT)
    assert denied.value.code == "database_paused"


async def test_nothing_is_remembered_while_changes_are_not_heard(
    store: Store, control_uri: ConnectionUri
) -> None:
    own = await active_agent(store)
    access = AccessService(store, Changes(None))  # pyright: ignore[reportArgumentType] - never listens
    principal = await access.authenticate_workspace(RESEARCH)
    first = await access.resolve(principal, Kind.AGENT)
    assert await access.resolve(principal, Kind.AGENT) is not first
    await store.pause(own.id)
    with pytest.raises(Denied):
        await access.resolve(principal, Kind.AGENT)


async def test_an_embedded_server_is_looked_after_when_changes_are_not_heard(store: Store) -> None:
    await active_agent(store)
    asked: list[str] = []

    async def ensure() -> None:
        asked.append("ensure")

    access = AccessService(store, Changes(None), Premises({"local": lambda: ("127.0.0.1", 4321)}, ensure))  # pyright: ignore[reportArgumentType]
    principal = await access.authenticate_workspace(RESEARCH)
    target = await access.resolve(principal, Kind.AGENT)
    assert asked == ["ensure"]
    assert target.address == ("127.0.0.1", 4321)


async def test_a_pending_database_says_so(store: Store, access: AccessService) -> None:
    await store.register_user(ADA, plan=None, provider="local")
    await store.create_workspace(RESEARCH, ADA, name="", provider="local")
    principal = await access.authenticate_workspace(RESEARCH)
    with pytest.raises(Missing) as missing:
        await access.resolve(principal, Kind.AGENT)
    assert missing.value.code == "database_pending"


async def test_a_deleted_workspace_reaches_nothing_its_users_shared_database_included(
    store: Store, access: AccessService
) -> None:
    await active_global(store)
    await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    await store.delete_workspace(RESEARCH, ADA)
    for kind in Kind:
        with pytest.raises(Denied) as denied:
            await access.resolve(principal, kind)
        assert denied.value.code == "forbidden"


async def test_a_workspace_given_to_another_user_is_closed_to_the_old_server(
    store: Store, access: AccessService, changes: Changes, control_uri: ConnectionUri
) -> None:
    await active_global(store)
    await active_agent(store)
    await active_global(store, BEN)
    principal = await access.authenticate_workspace(RESEARCH)
    await access.resolve(principal, Kind.GLOBAL)
    before = changes.version
    async with connected(control_uri) as control:
        await control.execute("UPDATE workspace SET owner_id = 'ben'")
    await until(lambda: asyncio.sleep(0, changes.version != before))
    with pytest.raises(Denied):
        await access.resolve(principal, Kind.GLOBAL)


async def test_a_database_that_is_wanted_gone_is_not_found(
    store: Store, access: AccessService, control_uri: ConnectionUri
) -> None:
    own = await active_agent(store)
    principal = await access.authenticate_workspace(RESEARCH)
    await run_sql(control_uri, "DELETE FROM workspace_database")
    with pytest.raises(Missing) as missing:
        await access.resolve(principal, Kind.AGENT)
    assert missing.value.code == "database_not_found"
    assert (await found(store, own.id)).desired is Desired.DELETED
