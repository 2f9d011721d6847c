"""Where the demo plays: real servers as subprocesses, the SDK's client, and a record of every answer."""

import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, TextContent

from agentdb_mcp.core.ids import WorkspaceId


class Agent:
    """An LLM agent's side of the wire."""

    def __init__(self, client: Client, record: Callable[[str], None]) -> None:
        self._client = client
        self._record = record

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        """One tool call; the whole answer is recorded for the audit."""
        answer = await self._client.call_tool(tool, arguments)
        self._record(answer.model_dump_json())
        return answer

    async def rows(self, sql: str, **arguments: Any) -> list[list[Any]] | None:
        """The rows of a query; None when it was refused."""
        return rows_of(await self.call("query", sql=sql, **arguments))


def rows_of(answer: CallToolResult) -> list[list[Any]] | None:
    """The rows of an answer; None when it is an error."""
    return None if answer.is_error else (answer.structured_content or {}).get("rows")


def text(answer: CallToolResult) -> str:
    """What the model reads."""
    return "\n".join(part.text for part in answer.content if isinstance(part, TextContent))


class Stage:
    """A home of its own, the servers in it, and everything they said."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        """`settings` are what the servers of agents are told."""
        self._environment = {"AGENTDB_HOME": str(home), **settings}
        self.home = home
        self.heard: list[str] = []
        self.log = (home / "servers.log").open("w+")

    @asynccontextmanager
    async def agent(self, workspace: WorkspaceId) -> AsyncGenerator[Agent]:
        """The agent of a workspace, through `agentdb mcp` as a subprocess."""
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "agentdb_mcp", "mcp", "--workspace", workspace],
            env=self._environment,
        )
        async with Client(stdio_client(server, errlog=self.log)) as client:
            tools = await client.list_tools()
            self.heard.append(tools.model_dump_json())
            yield Agent(client, self.heard.append)

    def logged(self) -> str:
        """What the servers wrote to stderr."""
        self.log.flush()
        return (self.home / "servers.log").read_text()


class Programme:
    """Claims, each printed with its time; a false one is counted, never hidden."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._start = time.perf_counter()
        self._last = self._start
        self.failed = 0
        self.kept = 0

    def scene(self, title: str) -> None:
        """A heading."""
        print(f"\n{title}", file=self._out)

    def claim(self, words: str, *, holds: bool, shows: str = "") -> None:
        """A claim and whether it held; `shows` is evidence worth a line."""
        now = time.perf_counter()
        took, self._last = (now - self._last) * 1000, now
        self.kept += holds
        self.failed += not holds
        print(f"  {'ok ' if holds else 'NO '} {words}  [{took:,.0f} ms]", file=self._out)
        for line in shows.splitlines():
            print(f"        {line}", file=self._out)

    def close(self) -> int:
        """The last line, and the exit code."""
        seconds = time.perf_counter() - self._start
        print(f"\n{self.kept} claims held, {self.failed} failed, in {seconds:.1f} s", file=self._out)
        return 1 if self.failed else 0
