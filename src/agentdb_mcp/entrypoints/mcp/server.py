"""The SDK's adapter: its low-level server, answering from our tools in both of the protocol's eras."""

from collections.abc import Sequence
from typing import Any, Final

from mcp import MCPError, types
from mcp.server import CacheHint, Server, ServerRequestContext

from agentdb_mcp import __version__
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.mcp.confirming import Confirming
from agentdb_mcp.entrypoints.mcp.offers import ToolsOf, offer
from agentdb_mcp.entrypoints.mcp.subscribing import serve_subscriptions
from agentdb_mcp.entrypoints.mcp.tools import ToolSpec, agent_tools, instructions

_LIST_LIFETIME: Final = 3_600_000
"""Milliseconds a client may keep the tool list: it does not change while the server runs."""


def agent_server(databases: Sequence[Kind], tools_of: ToolsOf, *, keys: Sequence[bytes] = ()) -> Server[Any]:
    """A server for one agent or for many, for any of the SDK's transports. All see the same list.

    `keys`, each of 32 secret bytes or more, seal what clients carry between two calls: several processes that
    serve the same callers share them; without any, each process has its own.
    """
    confirming = Confirming()
    specs = agent_tools(databases)
    schemas = {spec.name: spec.input_schema for spec in specs}
    listed = types.ListToolsResult(tools=[_listed(spec) for spec in specs])

    async def list_tools(
        _: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(types.INVALID_PARAMS, "The tools come in one page: no cursor was given out.")
        return listed

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> dict[str, Any]:
        return await confirming.answer(tools_of(context), context, params)

    server: Server[Any] = Server(
        "agentdb",
        title="agentdb",
        version=__version__,
        instructions=instructions(databases),
        on_list_tools=list_tools,
        get_tool_input_schema=schemas.get,  # or the SDK would list the tools anew for each call over HTTP
        cache_hints={
            method: CacheHint(ttl_ms=_LIST_LIFETIME, scope="private")
            for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
        },
    )
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    server.middleware.append(confirming.boundary(keys))
    offer(server, databases, tools_of)
    serve_subscriptions(server, tools_of)
    return server


def _listed(spec: ToolSpec) -> types.Tool:
    return types.Tool(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=spec.read_only,
            # Of what only reads this means nothing, and what is not said is not idempotent (MCP schema,
            # ToolAnnotations).
            destructive_hint=None if spec.read_only else spec.destructive,
            open_world_hint=False,  # a tool reaches one of the agent's databases and nothing else
        ),
    )
