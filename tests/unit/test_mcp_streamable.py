"""Sessions of the handshake era are few for one agent, and there is always one for the next."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agentdb_mcp.core.access import Caller, Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import TokenId, UserId, WorkspaceId
from agentdb_mcp.core.tokens import Scope as TokenScope
from agentdb_mcp.entrypoints.asgi import App, Receive, Scope, Send, set_caller
from agentdb_mcp.entrypoints.http.exchange import MOST_BODY, Exchange
from agentdb_mcp.entrypoints.http.room import Room
from agentdb_mcp.entrypoints.mcp.server import agent_server
from agentdb_mcp.entrypoints.mcp.streamable import MOST_OF_ONE, PATH, streamable_http
from support.gateways import ACCEPT

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def sent_by(name: str, app: App) -> Callable[[Any, Any, Any], Any]:
    principal = Principal(UserId(name), WorkspaceId(name))
    caller = Caller(TokenId(name), frozenset({TokenScope.AGENT}), principal)

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        set_caller(scope, caller)
        await Exchange(app, Room())(scope, receive, send)

    return known


async def test_one_agent_cannot_take_the_sessions_of_all() -> None:
    server = agent_server((Kind.AGENT,), lambda _: pytest.fail("nothing is called"))
    async with streamable_http(server, MOST_BODY) as app:

        def client(name: str) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(sent_by(name, app))
            return httpx.AsyncClient(transport=transport, base_url="http://x", headers={"accept": ACCEPT})

        async with client("greedy") as greedy, client("modest") as modest:
            opened = [await greedy.post(PATH, json=HELLO) for _ in range(MOST_OF_ONE)]
            assert {answer.status_code for answer in opened} == {200}
            with pytest.raises(Denied, match="128 sessions"):
                await greedy.post(PATH, json=HELLO)
            assert (await modest.post(PATH, json=HELLO)).status_code == 200
            ended = {"mcp-session-id": opened[0].headers["mcp-session-id"]}
            assert (await modest.delete(PATH, headers=ended)).status_code == 404
            assert (await greedy.delete(PATH, headers=ended)).status_code == 200
            assert (await greedy.post(PATH, json=HELLO)).status_code == 200
