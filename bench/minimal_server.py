"""The floor an MCP server in Python stands on: the SDK's low-level server and stdio, asyncpg, nothing else.

No guard, no identity, no caps, no exact types: rows go out as `json.dumps(default=str)`.
"""

import asyncio
import json
import os
from typing import Any

import asyncpg
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

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
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
