"""Who is calling: the bearer token of each request, checked before anything of it is read."""

import asyncio
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

import anyio

from agentdb_mcp.core.access import Caller
from agentdb_mcp.core.errors import AgentDbError, Denied, Unavailable
from agentdb_mcp.core.tokens import Scope as TokenScope
from agentdb_mcp.core.tokens import TokenText
from agentdb_mcp.entrypoints.asgi import App, Message, Receive, Scope, Send, body_of, set_caller
from agentdb_mcp.entrypoints.http.answers import Headers, last_event, send_error
from agentdb_mcp.entrypoints.http.discovery import metadata_of
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.store import Changes

MOST_OPEN: Final = 128
"""Requests of one caller that are open at once, streams included: answers nobody takes are kept in memory."""

LOOK_SECONDS: Final = 15.0
"""How long a token may outlive its expiry on a connection that stays open."""

BREATH_SECONDS: Final = 0.1
"""Between two looks: many changes may be announced at once."""


class _Request:
    """One that is open, and why it was ended before it was done."""

    def __init__(self, text: TokenText, method: str) -> None:
        self.text = text
        self.method = method
        self.why: AgentDbError | None = None
        self._work = anyio.CancelScope()

    def end(self, why: AgentDbError) -> None:
        """Cancels what is done for it."""
        self.why = why
        self._work.cancel()

    async def run(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Until it is answered or ended."""
        outlet = _Outlet(send)
        with self._work:
            await app(scope, receive, outlet)
        if self._work.cancelled_caught and self.why is not None:
            await outlet.end(self.why, body_of(scope))


class Gate:
    """The open requests of all callers; ends those whose token is no longer valid."""

    def __init__(self, access: AccessService, changes: Changes) -> None:
        self._access = access
        self._changes = changes
        self._open: set[_Request] = set()
        self._of_caller: Counter[object] = Counter()

    async def admit(self, app: App, needs: TokenScope, call: tuple[Scope, Receive, Send]) -> None:
        """Answers one request, for as long as its token is valid.

        Raises Denied: `not_authenticated`, `forbidden` for a token without that scope, `rate_limited`.
        """
        scope, receive, send = call
        text = _token_in(scope["headers"])
        caller = await self._access.authenticate_token(text)
        if needs not in caller.scopes:
            raise Denied(
                "forbidden",
                f"This token is not for that: it lacks the scope '{needs}'.",
                "Use a token that was made for it.",
            )
        set_caller(scope, caller)
        with self._counted(caller):
            request = _Request(text, scope["method"])
            self._open.add(request)
            try:
                await request.run(app, scope, receive, send)
            finally:
                self._open.discard(request)

    @contextmanager
    def _counted(self, caller: Caller) -> Generator[None]:
        owner = caller.owner
        if self._of_caller[owner] >= MOST_OPEN:
            raise Denied(
                "rate_limited",
                f"This caller has {MOST_OPEN} requests open; this one did nothing.",
                "Wait for those to be answered, and close streams that are not read.",
            )
        self._of_caller[owner] += 1
        try:
            yield
        finally:
            self._of_caller[owner] -= 1
            if not self._of_caller[owner]:
                del self._of_caller[owner]

    async def watch(self) -> None:
        """For as long as we serve: whatever changes, tokens of open requests are looked at again."""
        while True:
            heard = self._changes.version
            for text in {request.text for request in self._open}:
                await self._look_at(text)
            await asyncio.sleep(BREATH_SECONDS)
            await self._changes.wait(heard, LOOK_SECONDS)

    async def _look_at(self, text: TokenText) -> None:
        try:
            await self._access.authenticate_token(text)
        except Denied as why:
            for request in [each for each in self._open if each.text == text]:
                request.end(why)
        except AgentDbError:  # the control plane is away: nobody knows better
            return

    def end_streams(self) -> None:
        """Those that only listen: they would last for as long as they are let."""
        for request in [each for each in self._open if each.method == "GET"]:
            request.end(_ending())

    def end_all(self) -> None:
        """Whatever is still open."""
        for request in list(self._open):
            request.end(_ending())


class Bearer:
    """One application behind the gate, for callers whose token has that scope.

    `resource` is its path where clients may ask what it is (RFC 9728).
    """

    def __init__(self, gate: Gate, app: App, needs: TokenScope, resource: str | None) -> None:
        self._gate = gate
        self._app = app
        self._needs = needs
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._gate.admit(self._app, self._needs, (scope, receive, send))
        except AgentDbError as error:
            await send_error(scope, send, error, headers=self._advice(error, scope))

    def _advice(self, error: AgentDbError, scope: Scope) -> Headers:
        """RFC 6750 section 3: a request without any token is told nothing of what was wrong with it."""
        shown = any(name == b"authorization" for name, _ in scope["headers"])
        wrong = {
            "not_authenticated": [f'error="invalid_token", error_description="{error.message}"'] * shown,
            "forbidden": ['error="insufficient_scope"'],
        }.get(error.code)
        if wrong is None:
            return {"retry-after": "1"}
        known = ['realm="agentdb"', f'scope="{self._needs}"']
        if self._resource is not None:
            known.append(f'resource_metadata="{metadata_of(scope, self._resource)}"')
        return {"www-authenticate": f"Bearer {', '.join([*known, *wrong])}"}


class _Outlet:
    """Knows how far an answer is, for when its request is ended in the middle."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False
        self._streams = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._streams = (b"content-type", b"text/event-stream") in [
                (name, value.partition(b";")[0]) for name, value in message.get("headers", ())
            ]
        await self._send(message)

    async def end(self, why: AgentDbError, request: bytes) -> None:
        """The reason where nothing was sent yet, and as a stream's last event; anything else breaks off."""
        if not self._started:
            raise why
        if self._streams:
            await self._send({"type": "http.response.body", "body": last_event(request, why)})


def _token_in(headers: Iterable[tuple[bytes, bytes]]) -> TokenText:
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    if len(given) != 1 or given[0][:7].lower() != "bearer ":
        raise Denied(
            "not_authenticated",
            "This request has no token.",
            "Send it in the header 'Authorization: Bearer adb_...'.",
        )
    return TokenText(given[0][7:].strip())


def _ending() -> Unavailable:
    return Unavailable(
        "database_unavailable",
        "This server was told to end, and stopped the call.",
        "A change may or may not have been made: look before you repeat it.",
    )
