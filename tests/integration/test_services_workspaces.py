"""Workspaces that are archived, restored and given away: reasons add up, and the database goes along whole."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from agentdb_mcp.core.databases import Desired, Kind, ManagedDatabase, Observed, PauseReason
from agentdb_mcp.core.errors import Denied, Misconfigured, Missing
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store, open_keys
from support.lives import found
from support.neon import Neon
from support.postgres import connected, run_sql
from support.servers import lets_in
from support.waiting import until

ADA, BEN, NOBODY, RESEARCH = UserId("ada"), UserId("ben"), UserId("nobody"), WorkspaceId("research")


@pytest.fixture
async def agents(lifecycle: LifecycleService) -> ManagedDatabase:
    """A workspace's database, made; it holds something, and two users are registered."""
    await lifecycle.register_user(ADA)
    await lifecycle.register_user(BEN, plan="team")
    return (await lifecycle.create_workspace(RESEARCH, ADA)).database


@pytest.fixture
async def access(store: Store) -> AsyncIterator[AccessService]:
    async with store.changes() as changes:
        yield AccessService(store, changes)


async def test_an_archived_workspace_is_paused_and_says_why_and_restoring_brings_it_back(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase, access: AccessService
) -> None:
    writer, _ = await store.open_credentials(agents.id)
    archived = await asyncio.gather(*(lifecycle.archive_workspace(RESEARCH, ADA) for _ in range(3)))
    assert {each.database.observed for each in archived} == {Observed.PAUSED}
    assert {each.database.paused_by for each in archived} == {(PauseReason.ARCHIVED,)}
    assert not await lets_in(writer)
    principal = await access.authenticate_workspace(RESEARCH)
    with pytest.raises(Denied) as refused:
        await access.resolve(principal, Kind.AGENT)
    assert (refused.value.code, "archived" in refused.value.message) == ("database_paused", True)
    for _ in range(2):
        restored = await lifecycle.restore_workspace(RESEARCH, ADA)
        assert (restored.pending, restored.database.observed) == (None, Observed.ACTIVE)
    assert await lets_in(writer)


@pytest.mark.parametrize("other", [PauseReason.OPERATOR, PauseReason.BUDGET])
async def test_each_takes_back_only_their_own_pause(
    store: Store,
    lifecycle: LifecycleService,
    agents: ManagedDatabase,
    other: PauseReason,
    access: AccessService,
) -> None:
    await lifecycle.pause(agents.id, other)
    await lifecycle.archive_workspace(RESEARCH, ADA)
    restored = await lifecycle.restore_workspace(RESEARCH, ADA)
    assert (restored.database.observed, restored.database.paused_by) == (Observed.PAUSED, (other,))
    with pytest.raises(Denied, match="budget" if other is PauseReason.BUDGET else "no statement"):
        await access.resolve(await access.authenticate_workspace(RESEARCH), Kind.AGENT)
    await lifecycle.archive_workspace(RESEARCH, ADA)
    resumed = await lifecycle.resume(agents.id, other)
    assert (resumed.database.observed, resumed.database.paused_by) == (
        Observed.PAUSED,
        (PauseReason.ARCHIVED,),
    )
    assert (await lifecycle.restore_workspace(RESEARCH, ADA)).database.desired is Desired.ACTIVE


async def test_a_workspace_is_archived_by_its_owner_and_must_be_there(
    lifecycle: LifecycleService, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    with pytest.raises(Denied):
        await lifecycle.archive_workspace(RESEARCH, BEN)
    with pytest.raises(Missing) as missing:
        await lifecycle.archive_workspace(WorkspaceId("nowhere"), ADA)
    assert missing.value.code == "workspace_not_found"
    await run_sql(control_uri, "INSERT INTO workspace (id, owner_id) VALUES ('bare', 'ada')")
    with pytest.raises(Missing) as missing:
        await lifecycle.archive_workspace(WorkspaceId("bare"), ADA)
    assert missing.value.code == "database_not_found"


async def test_a_paused_project_whose_credentials_are_made_anew_is_not_opened_for_that(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase
) -> None:
    await lifecycle.archive_workspace(RESEARCH, ADA)
    neon.sent()
    mended = await lifecycle.mend(agents.id)
    assert (mended.pending, mended.database.observed) == (None, Observed.PAUSED)
    assert not [path for method, path in neon.sent() if method == "PATCH" and "endpoints" in path]
    await lifecycle.restore_workspace(RESEARCH, ADA)
    for uri in await store.open_credentials(agents.id):
        assert await lets_in(uri)


async def test_a_workspace_given_away_keeps_its_data_and_its_passwords_and_takes_the_new_owners_plan(
    neon: Neon, store: Store, lifecycle: LifecycleService, agents: ManagedDatabase, access: AccessService
) -> None:
    before = await store.open_credentials(agents.id)
    theirs = await access.authenticate_workspace(RESEARCH)
    await access.resolve(theirs, Kind.AGENT)
    given = await asyncio.gather(*(lifecycle.transfer_workspace(RESEARCH, ADA, BEN) for _ in range(3)))
    assert {(each.database.user_id, each.database.observed) for each in given} == {(BEN, Observed.ACTIVE)}
    assert await store.open_credentials(agents.id) == before
    (project,) = [each for each in neon.projects() if each.id == agents.project_id]
    (endpoint,) = project.endpoints.values()
    assert endpoint.max_cu == NEON_PROJECT_DEFAULTS["team"].size.max_cu

    async def closed() -> bool:
        try:
            await access.resolve(theirs, Kind.AGENT)
        except Denied as refused:
            return refused.code == "forbidden"
        return False

    await until(closed)
    mine = await access.authenticate_workspace(RESEARCH)
    assert mine.user_id == BEN
    assert (await access.resolve(mine, Kind.AGENT)).database_id == agents.id
    shared = (await access.resolve(mine, Kind.GLOBAL)).database_id
    assert (await found(store, shared)).user_id == BEN
    assert len(neon.projects()) == 3


async def test_only_its_owner_gives_a_workspace_away_and_only_to_a_registered_user(
    lifecycle: LifecycleService, store: Store, agents: ManagedDatabase
) -> None:
    with pytest.raises(Missing) as missing:
        await lifecycle.transfer_workspace(RESEARCH, ADA, NOBODY)
    assert missing.value.code == "user_not_found"
    with pytest.raises(Denied):
        await lifecycle.transfer_workspace(RESEARCH, NOBODY, BEN)
    assert await store.workspace_owner(RESEARCH) == ADA
    assert (await found(store, agents.id)).user_id == ADA


async def test_where_the_host_gives_a_workspace_away_the_next_pass_follows(
    store: Store, reconciler: Reconciler, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    before = await store.open_credentials(agents.id)
    await run_sql(control_uri, "UPDATE workspace SET owner_id = 'ben'")
    assert (await reconciler.run_due()).done == 1
    followed = await found(store, agents.id)
    assert (followed.user_id, followed.observed) == (BEN, Observed.ACTIVE)
    assert await store.open_credentials(agents.id) == before
    assert (await reconciler.run_due()).done == 0


async def test_credentials_that_nobody_can_read_are_made_anew_for_the_new_owner(
    neon: Neon, store: Store, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    keyless = await Store.open(control_uri, open_keys(KeyText(secrets.token_hex(32)), (), None))
    service = LifecycleService(keyless, Reconciler(keyless, {"neon": neon.provider}), provider="neon")
    given = await service.transfer_workspace(RESEARCH, ADA, BEN)
    assert (given.pending, given.database.observed) == (None, Observed.ACTIVE)
    for uri in await keyless.open_credentials(agents.id):
        assert await lets_in(uri)
    await keyless.close()


async def test_a_users_own_database_whose_credentials_nobody_can_read_is_not_given_away(
    neon: Neon, store: Store, agents: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    await run_sql(control_uri, "UPDATE workspace_database SET ownership_type = 'user'")
    keyless = await Store.open(control_uri, open_keys(KeyText(secrets.token_hex(32)), (), None))
    with pytest.raises(Misconfigured):
        await keyless.transfer_workspace(RESEARCH, ADA, BEN)
    await run_sql(control_uri, "UPDATE workspace SET owner_id = 'ben'")
    assert (await Reconciler(keyless, {"neon": neon.provider}).run_due()).failed == ()
    await keyless.close()
    assert (await found(store, agents.id)).user_id == ADA
    async with connected(control_uri) as control:
        assert await control.fetchval("SELECT count(writer_connection_uri) FROM workspace_database") == 1
