"""Who is calling: the bearer token of each request, checked before anything of it is read."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

import anyio

from agentdb_mcp.core.access import Caller
from agentdb_mcp.core.errors import AgentDbError, Denied
from agentdb_mcp.core.tokens import Scope as TokenScope
from agentdb_mcp.core.tokens import TokenText
from agentdb_mcp.entrypoints.asgi import App, Message, Receive, Scope, Send, set_caller
from agentdb_mcp.entrypoints.http.answers import send_error
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.store import Changes

MOST_OPEN: Final = 128
"""Requests of one caller that are open at once, streams included: answers nobody takes are kept in memory."""

LOOK_SECONDS: Final = 15.0
"""How long a token may outlive its expiry on a connection that stays open."""

BREATH_SECONDS: Final = 0.1
"""Between two looks: many changes may be announced at once."""


class Gate:
    """The open requests of all callers; ends those whose token is no longer valid."""

    def __init__(self, access: AccessService, changes: Changes) -> None:
        self._access = access
        self._changes = changes
        self._open: dict[anyio.CancelScope, TokenText] = {}
        self._of_caller: Counter[object] = Counter()

    def guarded(self, app: App, needs: TokenScope) -> "Bearer":
        """The same application, for callers whose token has that scope."""
        return Bearer(self, app, needs)

    async def caller(self, scope: Scope) -> tuple[TokenText, Caller]:
        """Raises Denied("not_authenticated")."""
        text = _token_in(scope["headers"])
        return text, await self._access.authenticate_token(text)

    async def run(self, app: App, caller: Caller, text: TokenText, call: tuple[Scope, Receive, Send]) -> None:
        """Answers one request, for as long as its token is valid. Raises Denied("rate_limited")."""
        owner = caller.principal or caller.token_id
        if self._of_caller[owner] >= MOST_OPEN:
            raise Denied(
                "rate_limited",
                f"This caller has {MOST_OPEN} requests open; this one did nothing.",
                "Wait for those to be answered, and close streams that are not read.",
            )
        self._of_caller[owner] += 1
        try:
            await self._run_while_valid(app, text, call)
        finally:
            self._of_caller[owner] -= 1
            if not self._of_caller[owner]:
                del self._of_caller[owner]

    async def _run_while_valid(self, app: App, text: TokenText, call: tuple[Scope, Receive, Send]) -> None:
        scope, receive, send = call
        outlet = _Outlet(send)
        with anyio.CancelScope() as cancelling:
            self._open[cancelling] = text
            try:
                await app(scope, receive, outlet)
            finally:
                del self._open[cancelling]
        if cancelling.cancelled_caught:
            await outlet.end(text)

    async def watch(self) -> None:
        """For as long as we serve: whatever changes, tokens of open requests are looked at again."""
        while True:
            heard = self._changes.version
            for text in set(self._open.values()):
                if not await self._is_valid(text):
                    self._close(text)
            await asyncio.sleep(BREATH_SECONDS)
            await self._changes.wait(heard, LOOK_SECONDS)

    async def _is_valid(self, text: TokenText) -> bool:
        try:
            await self._access.authenticate_token(text)
        except Denied:
            return False
        except AgentDbError:  # the control plane is away: nobody knows better
            return True
        return True

    def _close(self, text: TokenText) -> None:
        for cancelling, token in list(self._open.items()):
            if token == text:
                cancelling.cancel()


class Bearer:
    """One application behind the gate."""

    def __init__(self, gate: Gate, app: App, needs: TokenScope) -> None:
        self._gate = gate
        self._app = app
        self._needs = needs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            text, caller = await self._gate.caller(scope)
            if self._needs not in caller.scopes:
                await self._refuse_scope(send)
                return
            set_caller(scope, caller)
            await self._gate.run(self._app, caller, text, (scope, receive, send))
        except Denied as error:
            await send_error(send, error, headers=_challenge(error))
        except AgentDbError as error:
            await send_error(send, error, headers={"retry-after": "1"})

    async def _refuse_scope(self, send: Send) -> None:
        error = Denied(
            "forbidden",
            f"This token is not for that: it lacks the scope '{self._needs}'.",
            "Use a token that was made for it.",
        )
        challenge = f'Bearer realm="agentdb", error="insufficient_scope", scope="{self._needs}"'
        await send_error(send, error, headers={"www-authenticate": challenge})


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

    async def end(self, text: TokenText) -> None:
        """A refusal where nothing was sent yet, the end of a stream; anything else breaks off."""
        if not self._started:
            raise Denied("not_authenticated", f"The token {text.token_id} is not valid any more.")
        if self._streams:
            await self._send({"type": "http.response.body", "body": b""})


def _token_in(headers: Iterable[tuple[bytes, bytes]]) -> TokenText:
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    if len(given) != 1 or given[0][:7].lower() != "bearer ":
        raise Denied(
            "not_authenticated",
            "This request has no token.",
            "Send it in the header 'Authorization: Bearer adb_...'.",
        )
    return TokenText(given[0][7:].strip())


def _challenge(error: Denied) -> dict[str, str]:
    """RFC 6750 section 3."""
    if error.code == "rate_limited":
        return {"retry-after": "1"}
    why = f'error="invalid_token", error_description="{error.message}"'
    return {"www-authenticate": f'Bearer realm="agentdb", {why}'}
