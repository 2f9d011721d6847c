"""`agentdb serve` as a subprocess, and callers of it that hide nothing."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

from support.commands import environment
from support.hosts import Era, command, envelope

ACCEPT = "application/json, text/event-stream"


class Gateway:
    """Started when entered; ended in order when left."""

    def __init__(self, home: Path, *arguments: str, serve: str = "serve", **more: str) -> None:
        self.home = home
        self._errors = Path(home, f"gateway-{time.monotonic_ns()}.txt")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command(serve, "--port", "0", *arguments),
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


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def query(sql: str, **arguments: Any) -> dict[str, Any]:
    return {"name": "query", "arguments": {"sql": sql, **arguments}}


class Caller:
    """One agent speaking streamable HTTP by hand, in one era."""

    def __init__(self, url: str, token: str, era: Era) -> None:
        self.era = era
        self.capabilities: dict[str, Any] = {}
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
        params = {
            **(params or {}),
            **({"_meta": envelope(self.capabilities)} if self.era == "modern" else {}),
        }
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

    async def start(self, sql: str) -> tuple[int, "asyncio.Future[dict[str, Any]]"]:
        """A call that is not waited for: its id, and its answer to come."""
        message = self.message("tools/call", query(sql))

        async def answered() -> dict[str, Any]:
            return answer_in(await self.post(message))

        self._started = asyncio.create_task(answered())
        return message["id"], self._started

    async def leave(self) -> None:
        """Hangs up, in the middle of a call that was started."""
        self._started.cancel()
        await asyncio.wait([self._started])

    async def rows(self, sql: str, **arguments: Any) -> list[list[Any]]:
        result = (await self.request("tools/call", query(sql, **arguments)))["result"]
        assert not result["isError"], result
        return result["structuredContent"]["rows"]


def answer_in(response: httpx.Response) -> dict[str, Any]:
    """The one JSON-RPC answer, from a JSON body or from a stream of events."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    datas = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    return next((each for each in map(json.loads, filter(None, datas)) if "id" in each), {})


class SseCaller:
    """One agent on the legacy transport: a stream to read, a path to post to."""

    era: Era = "legacy"

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, headers=bearer(token), timeout=60)
        self.posts_to = ""
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        self._stream = await self.http.send(self.http.build_request("GET", "/sse"), stream=True)
        assert self._stream.status_code == 200
        self._lines = self._stream.aiter_lines()
        self.posts_to = (await self._next_data()) or ""
        self._reading = asyncio.create_task(self._read())
        info = {"name": "test", "version": "1"}
        await self.request(
            "initialize", {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info}
        )
        await self.notify("notifications/initialized", {})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Hangs up the stream, in the middle of whatever it carries."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._stream.aclose()
        await self.http.aclose()

    async def ended(self) -> None:
        """Returns when the server ends the stream."""
        await asyncio.wait_for(self._reading, 30)

    async def post(self, message: dict[str, Any]) -> httpx.Response:
        return await self.http.post(self.posts_to, json=message)

    async def start(self, sql: str) -> tuple[int, "asyncio.Future[dict[str, Any]]"]:
        return await self._ask("tools/call", query(sql))

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.wait_for((await self._ask(method, params))[1], 60)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        assert (await self.post({"jsonrpc": "2.0", "method": method, "params": params})).status_code == 202

    async def rows(self, sql: str) -> list[list[Any]]:
        result = (await self.request("tools/call", query(sql)))["result"]
        assert not result["isError"], result
        return result["structuredContent"]["rows"]

    async def _ask(self, method: str, params: dict[str, Any]) -> tuple[int, "asyncio.Future[dict[str, Any]]"]:
        self._next_id += 1
        answer = self._waiting[self._next_id] = asyncio.get_running_loop().create_future()
        sent = await self.post({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        assert sent.status_code == 202, sent.text
        return self._next_id, answer

    async def _read(self) -> None:
        while (data := await self._next_data()) is not None:
            message = json.loads(data)
            if message.get("id") in self._waiting:
                self._waiting.pop(message["id"]).set_result(message)

    async def _next_data(self) -> str | None:
        async for line in self._lines:
            if line.startswith("data: "):
                return line[6:]
        return None


AnyCaller = Caller | SseCaller
TRANSPORTS = ("modern", "legacy", "sse")


def caller_on(transport: str, url: str, token: str) -> AnyCaller:
    if transport == "sse":
        return SseCaller(url, token)
    return Caller(url, token, "modern" if transport == "modern" else "legacy")
