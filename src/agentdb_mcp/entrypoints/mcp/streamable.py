"""Streamable HTTP, in both of the protocol's eras, for the agents of all workspaces.

Newer clients send each call as a request of its own and cancel it by hanging up. Older ones have a session,
which `notifications/cancelled` and questions to the user need, and which lives in this process.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.entrypoints.asgi import App, Receive, Scope, Send, caller_of, departure_of

PATH: Final = "/mcp"
METHODS: Final = ("POST", "GET", "DELETE")

MOST_SESSIONS: Final = 2_000
MOST_OF_ONE: Final = 128
"""Of one agent, so that it cannot take the others' as well."""

IDLE_SECONDS: Final = 600.0
"""After which a session of the handshake era without any open request is forgotten."""

REQUEST_CANCELLED: Final = -32800
"""What the SDK answers to a cancelled request of the handshake era; here to nobody."""


@asynccontextmanager
async def streamable_http(server: Server[Any], most_body: int) -> AsyncGenerator[App]:
    """The application for PATH, which works inside this block.

    It raises Denied("rate_limited") for one session too many.
    """
    server.middleware.append(_until_departure)
    manager = StreamableHTTPSessionManager(
        server,
        max_request_body_size=most_body,
        max_sessions=MOST_SESSIONS,
        session_idle_timeout=IDLE_SECONDS,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if _opens_session(scope) and _sessions(manager, scope["user"]) >= MOST_OF_ONE:
            raise Denied(
                "rate_limited",
                f"This agent has {MOST_OF_ONE} sessions open.",
                "End those that are not used (DELETE).",
            )
        await manager.handle_request(scope, receive, send)

    async with manager.run():
        yield known_to_sdk(app)


def _opens_session(scope: Scope) -> bool:
    """Whether the SDK will take it for a client of the handshake era that has no session yet."""
    headers = dict(scope["headers"])
    version = headers.get(b"mcp-protocol-version", b"").decode("latin-1")
    return b"mcp-session-id" not in headers and (not version or version in HANDSHAKE_PROTOCOL_VERSIONS)


def _sessions(manager: StreamableHTTPSessionManager, user: AuthenticatedUser) -> int:
    # The SDK bounds all sessions together, and does not say in public whose they are.
    owners = manager._session_owners  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    mine = authorization_context(user)
    return sum(owner == mine for owner in owners.values())


def known_to_sdk(app: App) -> App:
    """Tells the SDK who calls, in its own terms.

    It binds sessions, and what clients carry between two calls, to workspace, user and issuer together.
    """
    inside = AuthContextMiddleware(app)

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        caller, principal = caller_of(scope), principal_of(scope)
        token = AccessToken(
            token=caller.token_id,
            client_id=principal.workspace_id,
            subject=principal.user_id,
            claims={"iss": "agentdb"},
            scopes=sorted(caller.scopes),
        )
        await inside({**scope, "user": AuthenticatedUser(token)}, receive, send)

    return known


def principal_of(scope: Scope) -> Principal:
    """The agent that sent this request: its token had the scope `agent`, which only agents' tokens have."""
    principal = caller_of(scope).principal
    assert principal is not None
    return principal


async def _until_departure(ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
    """A call whose client hung up is cancelled: the SDK does that only for the newer era."""
    if ctx.request is None:
        return await call_next(ctx)
    with departure_of(ctx.request.scope).stops():
        return await call_next(ctx)
    raise MCPError(REQUEST_CANCELLED, "The client hung up.")
