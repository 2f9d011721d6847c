"""A host's side of a server, kept as thin as can be, so that what is measured is the server."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

Era = Literal["legacy", "modern"]

_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class StdioClient:
    """One server process and the conversation with it."""

    def __init__(self, command: list[str], environment: dict[str, str], era: Era = "legacy") -> None:
        started = time.perf_counter()
        self._era = era
        self._next_id = 0
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if era == "legacy":
            self.request("initialize", _HELLO)
            self.notify("notifications/initialized", {})
        self.query("SELECT 1")
        self.seconds_to_first_result = time.perf_counter() - started

    @property
    def pid(self) -> int:
        return self._process.pid

    def query(self, sql: str, *params: Any) -> None:
        self.tool("query", sql=sql, **({"params": list(params)} if params else {}))

    def tool(self, name: str, **arguments: Any) -> bytes:
        """The answer as it came; a refusal ends the measurement."""
        return sound(self.request("tools/call", {"name": name, "arguments": arguments}))

    def in_flight(self, sql: str, depth: int, seconds: float) -> list[float]:
        """Seconds of each call, made for so long with `depth` calls under way at any time."""
        params = {"name": "query", "arguments": {"sql": sql}}
        end = time.perf_counter() + seconds
        started = {self.start("tools/call", params): time.perf_counter() for _ in range(depth)}
        times = []
        while started:
            answer = sound(self._receive())
            times.append(time.perf_counter() - started.pop(_id(answer)))
            if time.perf_counter() < end:
                started[self.start("tools/call", params)] = time.perf_counter()
        return times

    def settle(self) -> None:
        """Reads past the answers to requests that were cancelled, where there are any."""
        number = self.start("ping", {})
        while _id(self._receive()) != number:
            pass

    def request(self, method: str, params: dict[str, Any]) -> bytes:
        self.start(method, params)
        return self._receive()

    def start(self, method: str, params: dict[str, Any]) -> int:
        """Sends a request and returns its id; whoever wants the answer reads it."""
        self._next_id += 1
        if self._era == "modern":
            params = {**params, "_meta": _ENVELOPE}
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return self._next_id

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _receive(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


class HttpClient:
    """One connection that is kept, in the era where each call is a request of its own."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
            "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: query\r\n"
        )

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hangs up, whatever is under way."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def query(self, sql: str) -> None:
        await self.start(sql)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"the server answered: {head!r}")
        if b"content-length: " in head:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            sound(await self._reader.readexactly(length))
            return
        while size := int(await self._reader.readline(), 16):
            sound((await self._reader.readexactly(size + 2)).removeprefix(b"event: message\r\ndata: "))
        await self._reader.readline()

    async def start(self, sql: str) -> None:
        """Sends a call and does not wait."""
        params = {"name": "query", "arguments": {"sql": sql}, "_meta": _ENVELOPE}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        self._writer.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await self._writer.drain()


def sound(answer: bytes) -> bytes:
    """The answer, unless it is an error: that ends the measurement."""
    if not answer or b'"isError":true' in answer or b'"error":{"code"' in answer[:80]:
        sys.exit(f"the server answered: {answer[:500]!r}")
    return answer


def proportional_set_size(pid: int) -> float:
    """Megabytes, as Linux counts them: shared pages are divided among those who share them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def _id(answer: bytes) -> int:
    """Of an answer of either server: both write it before the result."""
    return int(answer.partition(b'"id":')[2].partition(b",")[0])
