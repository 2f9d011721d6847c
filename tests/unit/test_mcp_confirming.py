"""Questions over the SDK's own client and server, in both eras: what can only be seen with a hand on the clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from mcp import Client, MCPError, types
from mcp.server import Server, ServerRequestContext

from agentdb_mcp.core.consent import NOBODY, Agreement, Person, Question, Unconfirmed
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.mcp.confirming import Confirming
from agentdb_mcp.entrypoints.mcp.render import ToolAnswer, failure

Mode = Literal["auto", "legacy"]
MODES: tuple[Mode, ...] = ("auto", "legacy")
KEY = b"k" * 32
QUESTION = Question(Kind.AGENT, "Drop it?", Agreement("act"))


class Tools:
    """A tool that asks until the person agreed to the very act."""

    def __init__(self) -> None:
        self.ran = 0

    async def call(self, name: str, arguments: object, person: Person = NOBODY) -> ToolAnswer:
        assert (name, arguments) == ("drop", {})
        if person.can_be_asked and person.agreed != QUESTION.agreement:
            return failure(Unconfirmed(QUESTION), Kind.AGENT)
        self.ran += 1
        return ToolAnswer("done", {"database": "agent"})


def served(tools: Any, *, seconds: float = 60, keys: tuple[bytes, ...] = ()) -> Server[Any]:
    confirming = Confirming(seconds)

    async def listed(_: ServerRequestContext[Any], __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="drop", input_schema={"type": "object"})])

    async def call(context: ServerRequestContext[Any], params: types.CallToolRequestParams) -> dict[str, Any]:
        return await confirming.answer(tools, context, params)

    server: Server[Any] = Server("agentdb", on_list_tools=listed)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call)
    server.middleware.append(confirming.boundary(keys))
    return server


Callback = Callable[[Any, types.ElicitRequestParams], Awaitable[types.ElicitResult]]


def replying(action: Literal["accept", "decline", "cancel"], asked: list[str]) -> Callback:
    async def reply(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action=action, content={} if action == "accept" else None)

    return reply


def code(result: types.CallToolResult) -> str:
    assert result.structured_content is not None
    return result.structured_content["error"]["code"]


@pytest.mark.parametrize("mode", MODES)
async def test_the_sdks_client_asks_and_the_answer_decides(mode: Mode) -> None:
    tools, asked = Tools(), list[str]()
    async with Client(served(tools), mode=mode, elicitation_callback=replying("accept", asked)) as client:
        result = await client.call_tool("drop", {})
        assert not result.is_error
    async with Client(served(tools), mode=mode, elicitation_callback=replying("decline", asked)) as client:
        assert code(await client.call_tool("drop", {})) == "not_confirmed"
    async with Client(served(tools), mode=mode) as client:
        assert not (await client.call_tool("drop", {})).is_error, "nobody to ask: the service decides"
    assert asked == ["Drop it?", "Drop it?"]
    assert tools.ran == 2


async def test_who_does_not_answer_in_time_has_not_agreed() -> None:
    tools = Tools()

    async def never(_: Any, __: types.ElicitRequestParams) -> types.ElicitResult:
        await asyncio.Event().wait()
        raise AssertionError

    async with Client(served(tools, seconds=0.05), mode="legacy", elicitation_callback=never) as client:
        result = await client.call_tool("drop", {})
    assert code(result) == "not_confirmed"
    assert "did not answer in time" in str(result.content)
    assert tools.ran == 0


async def test_an_answer_that_comes_too_late_is_refused() -> None:
    tools, asked = Tools(), list[str]()
    server = served(tools, seconds=0.000_001)
    async with Client(server, elicitation_callback=replying("accept", asked)) as client:
        with pytest.raises(MCPError, match="expired"):
            await client.call_tool("drop", {})
    assert tools.ran == 0


async def test_processes_with_the_same_keys_take_each_others_questions_and_no_others() -> None:
    tools, asked = Tools(), list[str]()
    yes: types.InputResponses = {"confirm": types.ElicitResult(action="accept", content={})}
    reply = replying("accept", asked)
    async with Client(served(tools, keys=(KEY,)), elicitation_callback=reply) as client:
        needed = await client.session.call_tool("drop", {}, allow_input_required=True)
        assert isinstance(needed, types.InputRequiredResult)
    again = {"input_responses": yes, "request_state": needed.request_state}
    async with Client(served(tools, keys=(b"another" * 5,)), elicitation_callback=reply) as client:
        with pytest.raises(MCPError, match="Invalid or expired"):
            await client.session.call_tool("drop", {}, **again)
    assert tools.ran == 0
    async with Client(served(tools, keys=(KEY,)), elicitation_callback=reply) as client:
        await client.session.call_tool("drop", {}, **again)
    assert tools.ran == 1
