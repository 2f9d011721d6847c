"""The floor an MCP server in Python stands on: the SDK's low-level server, its transports, asyncpg.

No guard, no identity, no caps, no exact types: rows go out as `json.dumps(default=str)`. Over stdio, or with
`--http` as streamable HTTP on a free port, which it prints.
"""

import asyncio
import json
import os
import socket
import sys
from typing import Any

import asyncpg
import uvicorn
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

QUERY = types.Tool(name="query", input_schema={"type": "object", "properties": {"sql": {"type": "string"}}})


async def main() -> None:
    pool = await asyncpg.create_pool(os.environ["BENCH_URL"], min_size=1)

    async def list_tools(_: ServerRequestContext[Any], __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[QUERY])

    async def call_tool(
        _: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        arguments = params.arguments or {}
        rows = await pool.fetch(arguments["sql"], *arguments.get("params", ()))
        text = json.dumps([list(row) for row in rows], default=str)
        return types.CallToolResult(content=[types.TextContent(text=text)])

    server = Server("minimal", on_list_tools=list_tools, on_call_tool=call_tool)
    await (over_http(server) if "--http" in sys.argv else over_stdio(server))


async def over_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def over_http(server: Server[Any]) -> None:
    manager = StreamableHTTPSessionManager(server)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer takes 40 ms longer
    config = uvicorn.Config(
        manager.handle_request,  # pyright: ignore[reportArgumentType]
        interface="asgi3",
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    print(f"serving http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    async with manager.run():
        await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    asyncio.run(main())
