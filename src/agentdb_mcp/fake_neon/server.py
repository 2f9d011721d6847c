"""The stand-in as a whole: start it, point a client at `api_url` with `API_KEY`, stop it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Final, Self

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.account import Account
from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.certificate import server_context
from agentdb_mcp.fake_neon.clock import Clock, system_clock
from agentdb_mcp.fake_neon.faults import BEFORE, Fault, Faults
from agentdb_mcp.fake_neon.postgres import FakePostgres
from agentdb_mcp.fake_neon.refusals import Refused
from agentdb_mcp.fake_neon.routes import PREFIX, find
from agentdb_mcp.fake_neon.stage import Stage
from agentdb_mcp.fake_neon.wire import HttpServer, Reply, Request

API_KEY: Final = "napi_fake_key_that_opens_nothing_real"

RETRY_SECONDS: Final = 2

GATEWAY_PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>524: A timeout occurred</title></head><body></body></html>"
)

Do = Callable[[], Awaitable[Reply]]


class FakeNeon:
    """One organization at a Neon of this process."""

    def __init__(self, admin: ConnectionUri, *, clock: Clock = system_clock, seed: int = 1) -> None:
        self.account = Account(clock, seed=seed)
        self.faults = Faults()
        self.withheld = asyncio.Event()
        """Set when an answer is kept back (`Fault.SLOW`), its effect done."""
        self._http = HttpServer(self._answer)
        self._stage = Stage(self.account, FakePostgres(admin), server_context(), self.faults)
        self._postponed: list[Do] = []
        self.port = 0

    async def start(self, port: int = 0) -> Self:
        """Listen on 127.0.0.1. `admin` must be a superuser of PostgreSQL 16 or newer."""
        self.port = await self._http.open(port)
        return self

    async def stop_listening(self) -> None:
        """Neon is down: nobody answers, until `start`."""
        await self._http.close()

    async def close(self) -> None:
        """Stop. The databases stay with their server."""
        await self._http.close()
        await self._stage.close()

    async def forget(self) -> None:
        """Drop every database. For tests: the server has many of them to see."""
        for project in self.account.projects.values():
            await self._stage.drop_project(project)
        self.account.projects.clear()

    @property
    def api_url(self) -> str:
        """What stands for https://console.neon.tech/api/v2."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    async def catch_up(self) -> None:
        """Do what is due by the clock, to the end."""
        self.account.advance()
        await self._stage.settled()
        await self._stage.sweep()

    async def do_postponed(self) -> None:
        """Carry out the requests that `Fault.LATE` held back."""
        postponed, self._postponed = self._postponed, []
        for do in postponed:
            await do()

    def witness(self, request: Request, reply: Reply) -> None:
        """Told of every exchange, injected faults apart. Something to replace in tests."""

    async def _answer(self, request: Request) -> Reply | None:
        path = request.path.removeprefix(PREFIX)
        fault = self.faults.pick(request.method, path)
        await self.catch_up()

        async def do() -> Reply:
            reply = await self._done(request, path)
            self.witness(request, reply)
            return reply

        if fault is None:
            return await do()
        return self._refused(fault, request) if fault in BEFORE else await self._marred(fault, do)

    async def _done(self, request: Request, path: str) -> Reply:
        request_id = request.headers.get("x-request-id") or str(uuid.uuid4())
        headers = {"x-neon-ret-request-id": request_id}
        try:
            status, body = await self._routed(request, path)
        except Refused as refused:
            error = {"request_id": request_id, "code": refused.code, "message": refused.message}
            return Reply.json(refused.status, error, {**headers, **refused.headers})
        return Reply.json(status, body, headers)

    async def _routed(self, request: Request, path: str) -> tuple[int, dict[str, object]]:
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            raise Refused(401, "supplied credentials do not pass authentication")
        found = find(path) if request.path.startswith(PREFIX) else None
        if found is None:
            raise Refused(404, "this route does not exist")
        methods, names = found
        if request.method not in methods:
            raise Refused(405, "method not allowed", Allow=", ".join(methods))
        call = Call(self.account, self._stage, request, names, self.account.clock())
        return await methods[request.method](call)

    def _refused(self, fault: Fault, request: Request) -> Reply | None:
        """Nothing was done."""
        now = self.account.clock()
        headers = {
            Fault.RATE_SECONDS: {"Retry-After": str(RETRY_SECONDS)},
            Fault.RATE_DATE: {
                "Date": format_datetime(now, usegmt=True),
                "Retry-After": format_datetime(now + timedelta(seconds=RETRY_SECONDS), usegmt=True),
            },
        }.get(fault, {})
        if fault is Fault.LOST:
            return None
        request_id = request.headers.get("x-request-id", "")
        error = {"request_id": request_id, "code": "", "message": "injected fault"}
        return Reply.json(int(fault.value[:3]), error, {**headers, "x-neon-ret-request-id": request_id})

    async def _marred(self, fault: Fault, do: Do) -> Reply | None:
        """It was done, or will be, and the client is not told so."""
        if fault is Fault.LATE:
            self._postponed.append(do)
            return None
        reply = await do()
        if fault is Fault.DOUBLED:
            await self.catch_up()
            await do()
        if fault is Fault.SLOW:
            self.withheld.set()
            await self._http.closing.wait()
        return _told(fault, reply)


def _told(fault: Fault, reply: Reply) -> Reply | None:
    match fault:
        case Fault.DOUBLED:
            return reply
        case Fault.ERROR_AFTER:
            return Reply.json(500, {"code": "", "message": "injected fault"})
        case Fault.GATEWAY:
            return Reply(524, GATEWAY_PAGE, "text/html; charset=UTF-8")
        case Fault.REPLY_CUT:
            return Reply(reply.status, reply.body, headers=reply.headers, cut=True)
        case _:
            return None
