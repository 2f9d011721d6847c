"""A host's side of a stdio server, kept as thin as can be, so that what is measured is the server."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

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
            self._request("initialize", _HELLO)
            self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.query("SELECT 1")
        self.seconds_to_first_result = time.perf_counter() - started

    def query(self, sql: str, *params: Any) -> None:
        self.tool("query", sql, *params)

    def tool(self, name: str, sql: str, *params: Any) -> None:
        arguments = {"sql": sql, **({"params": list(params)} if params else {})}
        answer = self._request("tools/call", {"name": name, "arguments": arguments})
        if b'"isError":true' in answer or b'"error":{"code"' in answer[:60]:
            sys.exit(f"the server answered: {answer[:500]!r}")

    def proportional_set_size(self) -> float:
        """Megabytes, as Linux counts them: shared pages are divided among those who share them."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _request(self, method: str, params: dict[str, Any]) -> bytes:
        assert self._process.stdout is not None
        self._next_id += 1
        if self._era == "modern":
            params = {**params, "_meta": _ENVELOPE}
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return self._process.stdout.readline()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
