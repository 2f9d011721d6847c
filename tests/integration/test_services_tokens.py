"""Tokens: whom one stands for, for how long, and that a call with a known one asks the control plane nothing."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from agentdb_mcp.core.errors import AgentDbError, Denied
from agentdb_mcp.core.ids import TokenId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.tokens import Scope, TokenText
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.tokens import TokenService
from agentdb_mcp.store import Changes, Store
from support.lives import ADA, BEN, RESEARCH, active_agent
from support.postgres import run_sql
from support.waiting import until

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def changes(store: Store) -> AsyncIterator[Changes]:
    async with store.changes() as heard:
        await until(lambda: is_heard(heard))
        yield heard


async def is_heard(changes: Changes) -> bool:
    return changes.version is not None


@pytest.fixture
async def tokens(store: Store, clock: Clock) -> TokenService:
    await active_agent(store)
    return TokenService(store, clock)


@pytest.fixture
def access(store: Store, changes: Changes, clock: Clock) -> AccessService:
    return AccessService(store, changes, clock=clock)


async def refusal(access: AccessService, text: TokenText) -> str:
    with pytest.raises(Denied) as denied:
        await access.authenticate_token(text)
    assert denied.value.code == "not_authenticated"
    assert text.reveal() not in str(denied.value)
    return denied.value.message


async def test_an_agents_token_stands_for_its_workspace_and_its_user(
    tokens: TokenService, access: AccessService
) -> None:
    made = await tokens.create_for_agent(RESEARCH, label="laptop")
    caller = await access.authenticate_token(made.text)
    assert caller.principal == await access.authenticate_workspace(RESEARCH)
    assert (caller.token_id, caller.scopes) == (made.token.id, {Scope.AGENT})
    assert made.token.expires_at == NOON + timedelta(days=90)
    assert re.fullmatch(rf"adb_{made.token.id}_[\w-]{{43}}", made.text.reveal())
    assert made.text.reveal() not in f"{made!r} {made.text} {made.text:s}"


async def test_a_hosts_token_stands_for_no_agent(tokens: TokenService, access: AccessService) -> None:
    made = await tokens.create_for_host([Scope.REVEAL, Scope.LIFECYCLE, Scope.REVEAL], lifetime=None)
    caller = await access.authenticate_token(made.text)
    assert (caller.principal, caller.scopes) == (None, {Scope.LIFECYCLE, Scope.REVEAL})
    assert made.token.expires_at is None


async def test_a_token_that_cannot_be_made_is_refused_and_leaves_no_row(tokens: TokenService) -> None:
    for asked, code in (
        (tokens.create_for_agent(WorkspaceId("nowhere")), "workspace_not_found"),
        (tokens.create_for_agent(RESEARCH, label="x" * 201), "bad_argument"),
        (tokens.create_for_agent(RESEARCH, label="\0"), "bad_argument"),
        (tokens.create_for_agent(RESEARCH, lifetime=timedelta.max), "bad_argument"),
        (tokens.create_for_host([]), "bad_argument"),
        (tokens.create_for_host([Scope.AGENT]), "bad_argument"),
        (tokens.revoke(TokenId("0" * 16)), "token_not_found"),
    ):
        with pytest.raises(AgentDbError) as refused:
            await asked
        assert refused.value.code == code
    assert await tokens.tokens() == []


async def test_what_is_no_token_is_refused(tokens: TokenService, access: AccessService) -> None:
    real = (await tokens.create_for_agent(RESEARCH)).text.reveal()
    changed = real[:-2] + ("AA" if real[-2:] != "AA" else "BB")
    for text in ("adb_", "Bearer", real + "A", real.upper(), " " + real, "adb_" + "é" * 60):
        assert await refusal(access, TokenText(text)) == "This is no token of this server."
    assert "no such token" in await refusal(access, TokenText(changed))


async def test_the_control_plane_keeps_nothing_that_opens_anything(
    store: Store, tokens: TokenService, access: AccessService
) -> None:
    text = (await tokens.create_for_agent(RESEARCH)).text
    kept = await store.dump()
    assert str(text.token_id) in kept
    assert text.reveal().rpartition("_")[2] not in kept
    await refusal(access, TokenText(text.digest().hex()))


async def test_a_token_that_is_known_costs_no_look_up_and_ends_by_the_clock(
    tokens: TokenService, access: AccessService, clock: Clock, store: Store
) -> None:
    text = (await tokens.create_for_agent(RESEARCH, lifetime=timedelta(hours=1))).text
    caller = await access.authenticate_token(text)
    await store.close()  # whoever looks something up now fails
    clock.time = NOON + timedelta(minutes=59)
    assert await access.authenticate_token(text) == caller
    clock.time = NOON + timedelta(hours=1)
    assert "expired" in await refusal(access, text)


ENDINGS = {
    "revoked": "UPDATE access_token SET revoked_at = now()",
    "deleted": "DELETE FROM workspace",
    "user now": "UPDATE workspace SET owner_id = 'ben'",
}


@pytest.mark.parametrize("words", ENDINGS)
async def test_a_token_that_is_known_ends_with_what_it_stands_on(
    store: Store, tokens: TokenService, access: AccessService, control_uri: ConnectionUri, words: str
) -> None:
    await store.register_user(BEN, plan=None, provider="local")
    text = (await tokens.create_for_agent(RESEARCH)).text
    assert (await access.authenticate_token(text)).principal is not None
    await run_sql(control_uri, ENDINGS[words])
    await until(lambda: is_refused(access, text))
    assert words in await refusal(access, text)


async def is_refused(access: AccessService, text: TokenText) -> bool:
    try:
        await access.authenticate_token(text)
    except Denied:
        return True
    return False


async def test_the_list_says_what_became_of_each(tokens: TokenService, clock: Clock) -> None:
    short = await tokens.create_for_agent(RESEARCH, lifetime=timedelta(minutes=1))
    gone = await tokens.create_for_host([Scope.LIFECYCLE])
    await tokens.revoke(gone.token.id)
    await tokens.revoke(gone.token.id)
    clock.time = NOON + timedelta(minutes=1)
    kept = await tokens.create_for_agent(RESEARCH)
    listed = {each.id: tokens.state_of(each) for each in await tokens.tokens()}
    assert listed == {short.token.id: "expired", gone.token.id: "revoked", kept.token.id: "valid"}
    assert [each.id for each in await tokens.tokens(RESEARCH)] == [short.token.id, kept.token.id]
    assert [each.user_id for each in await tokens.tokens(RESEARCH)] == [ADA, ADA]
