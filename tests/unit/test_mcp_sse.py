"""Legacy SSE: what is posted stays in memory until its answer is taken, so it is counted by its size."""

import asyncio
import json
from typing import Any

from mcp import types
from mcp.server import Server, ServerRequestContext

from agentdb_mcp.core.access import Caller, Principal
from agentdb_mcp.core.ids import TokenId, UserId, WorkspaceId
from agentdb_mcp.entrypoints.asgi import Message, Scope, set_caller
from agentdb_mcp.entrypoints.mcp.sse import MOST_UNANSWERED, WEIGHT, LegacySse


class Agent:
    """One client: a stream that is read, and posts to it."""

    def __init__(self, sse: LegacySse) -> None:
        self._sse = sse
        self._endpoint: asyncio.Queue[str] = asyncio.Queue()
        self._query = b""

    def _scope(self, query: bytes) -> Scope:
        name = "ada"
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/messages",
            "query_string": query,
            "headers": [],
        }
        set_caller(scope, Caller(TokenId(name), frozenset(), Principal(UserId(name), WorkspaceId(name))))
        return scope

    async def listen(self) -> None:
        async def send(message: Message) -> None:
            text = message.get("body", b"").decode()
            if text.startswith("event: endpoint"):
                await self._endpoint.put(text.partition("?")[2].strip())

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        await self._sse.stream(self._scope(b""), receive, send)

    async def post(self, message: dict[str, Any]) -> int:
        self._query = self._query or (await self._endpoint.get()).encode()
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps(message).encode(), "more_body": False}

        async def send(answer: Message) -> None:
            statuses.append(answer.get("status", 0))

        await self._sse.message(self._scope(self._query), receive, send)
        return statuses[0]


async def test_calls_that_wait_are_counted_by_their_size_and_let_go_when_they_end() -> None:
    begun: asyncio.Queue[None] = asyncio.Queue()
    release = asyncio.Event()

    async def call(_: ServerRequestContext[Any], __: types.CallToolRequestParams) -> types.CallToolResult:
        await begun.put(None)
        await release.wait()
        return types.CallToolResult(content=[])

    async def tools(_: ServerRequestContext[Any], __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[])

    agent = Agent(LegacySse(Server("test", on_list_tools=tools, on_call_tool=call)))
    listening = asyncio.create_task(agent.listen())

    def message(number: int, size: int) -> dict[str, Any]:
        params = {"name": "wait", "arguments": {"text": "x" * size}}
        return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}

    hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    assert await agent.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}) == 202
    assert await agent.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
    large = 31 * WEIGHT
    for number in range(MOST_UNANSWERED // 32):
        assert await agent.post(message(number + 1, large)) == 202
        await begun.get()
    assert await agent.post(message(98, 1)) == 429
    release.set()
    async with asyncio.timeout(20):
        while await agent.post(message(99, large)) != 202:  # noqa: ASYNC110 - answers go out one by one
            await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening])
