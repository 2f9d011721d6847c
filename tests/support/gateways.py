"""`agentdb serve` as a subprocess, and callers of it that hide nothing."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

from support.commands import run_agentdb
from support.hosts import ENVELOPE, Era, command, environment

ACCEPT = "application/json, text/event-stream"


class Gateway:
    """Started when entered; ended in order when left."""

    def __init__(self, home: Path, *arguments: str, **more: str) -> None:
        self.home = home
        self._errors = Path(home, f"gateway-{time.monotonic_ns()}.txt")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command("serve", "--port", "0", *arguments),
                env=environment(home, **more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("serving http://"), self.stderr
        self.url = said.split()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def stderr(self) -> str:
        return self._errors.read_text(errors="replace")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def new_token(home: Path, workspace: str, *more: str) -> str:
    made = run_agentdb(home, "token", "create", "--workspace", workspace, *more)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def query(sql: str, **arguments: Any) -> dict[str, Any]:
    return {"name": "query", "arguments": {"sql": sql, **arguments}}


class Caller:
    """One agent speaking streamable HTTP by hand, in one era."""

    def __init__(self, url: str, token: str, era: Era) -> None:
        self.era = era
        self.http = httpx.AsyncClient(base_url=url, headers={**bearer(token), "accept": ACCEPT}, timeout=60)
        self._next_id = 0

    async def __aenter__(self) -> Self:
        if self.era == "legacy":
            info = {"name": "test", "version": "1"}
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
            opened = await self.post(self.message("initialize", params))
            assert opened.status_code == 200, opened.text
            self.http.headers["mcp-session-id"] = opened.headers["mcp-session-id"]
            self.http.headers["mcp-protocol-version"] = "2025-11-25"
            await self.notify("notifications/initialized", {})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    def message(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self._next_id += 1
        params = {**(params or {}), **({"_meta": ENVELOPE} if self.era == "modern" else {})}
        return {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}

    def headers(self, message: dict[str, Any]) -> dict[str, str]:
        if self.era == "legacy":
            return {}
        name = message["params"].get("name")
        named = {} if name is None else {"mcp-name": name}
        return {"mcp-protocol-version": "2026-07-28", "mcp-method": message["method"], **named}

    async def post(self, message: dict[str, Any], **more: str) -> httpx.Response:
        return await self.http.post("/mcp", json=message, headers={**self.headers(message), **more})

    async def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.post(self.message(method, params))
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer_in(answer)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        sent = await self.post({"jsonrpc": "2.0", "method": method, "params": params})
        assert sent.status_code == 202

    async def rows(self, sql: str, **arguments: Any) -> list[list[Any]]:
        result = (await self.request("tools/call", query(sql, **arguments)))["result"]
        assert not result["isError"], result
        return result["structuredContent"]["rows"]


def answer_in(response: httpx.Response) -> dict[str, Any]:
    """The one JSON-RPC answer, from a JSON body or from a stream of events."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    datas = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    (message,) = [each for each in map(json.loads, filter(None, datas)) if "id" in each]
    return message
