"""A host's side of one `agentdb mcp` over stdio, line by line: what an SDK's client would hide can be seen here."""

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any, Literal, Self

import jsonschema

from support.commands import environment
from support.processes import Forked

Era = Literal["legacy", "modern"]
ERAS: tuple[Era, ...] = ("legacy", "modern")

CAN_ASK = {"elicitation": {}}
"""The capabilities of a host that can put a question to its user."""


def envelope(capabilities: dict[str, Any]) -> dict[str, Any]:
    """What each request of the newer era carries."""
    return {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agentdb_mcp", *arguments]


class Host:
    """Starts a server and speaks JSON-RPC with it. Every line of its stdout must be a message."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        era: Era = "legacy",
        capabilities: dict[str, Any] | None = None,
        **more: str,
    ) -> None:
        self.era = era
        self._capabilities = capabilities or {}
        self._next_id = 0
        self._schemas: dict[str, Any] = {}
        self._received = b""
        self._errors = Path(home, f"stderr-{time.monotonic_ns()}.txt")
        with self._errors.open("wb") as errors:
            self.process = Forked(["mcp", *arguments], environment(home, **more), stderr=errors)

    def __enter__(self) -> Self:
        if self.era == "legacy":
            info = {"name": "test", "version": "1"}
            self.request(
                "initialize",
                {"protocolVersion": "2025-11-25", "capabilities": self._capabilities, "clientInfo": info},
            )
            self.notify("notifications/initialized", {})
        self._schemas = {tool["name"]: tool["outputSchema"] for tool in self.tools()}
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stderr(self) -> str:
        return self._errors.read_text(errors="replace")

    def close(self) -> int:
        """Hangs up, and returns the server's exit code. Nothing but messages may have been left on stdout."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
            rest = self._received + self.process.stdout.read()
            for line in rest.splitlines():
                json.loads(line)
            self.process.stdout.close()
        return self.process.wait(30)

    def tools(self) -> list[dict[str, Any]]:
        return self.request("tools/list")["result"]["tools"]

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """A tool's result, held against the schema the tool was listed with, whether it is an error or not."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments})
        result: dict[str, Any] = answer["result"]
        if tool in self._schemas:
            jsonschema.validate(result["structuredContent"], self._schemas[tool])
        return result

    def rows(self, sql: str, **arguments: Any) -> list[list[Any]]:
        result = self.call("query", sql=sql, **arguments)
        assert not result["isError"], result
        return result["structuredContent"]["rows"]

    def error(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        result = self.call(tool, **arguments)
        assert result["isError"], result
        return result["structuredContent"]["error"]

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.answer_to(self.ask(method, params))

    def ask(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Sends a request without waiting for its answer, and returns its id."""
        self._next_id += 1
        self.send(
            {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": self._enveloped(params)}
        )
        return self._next_id

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: object) -> None:
        self.send_line(json.dumps(message).encode())

    def send_line(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def answer_to(self, request_id: int | str | None, seconds: float = 60) -> dict[str, Any]:
        """The next message, which must be the answer to that request."""
        message = self.receive(seconds)
        assert message.get("id") == request_id, message
        return message

    def receive(self, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            self._received += self._chunk(deadline - time.monotonic())
        line, _, self._received = self._received.partition(b"\n")
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def _chunk(self, seconds: float) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(seconds, 0))
        assert ready, f"no answer in time; stderr: {self.stderr}"
        chunk = os.read(self.process.stdout.fileno(), 65_536)
        assert chunk, f"the server hung up; stderr: {self.stderr}"
        return chunk

    def _enveloped(self, params: dict[str, Any] | None) -> dict[str, Any]:
        if self.era == "legacy":
            return params or {}
        return {**(params or {}), "_meta": envelope(self._capabilities)}
