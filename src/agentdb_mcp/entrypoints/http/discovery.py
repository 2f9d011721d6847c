"""What OAuth clients look for when they have no valid token, and where they learn that none is given out.

Tokens are made by whoever runs this server (`agentdb token create`) and set in the client: there is no
authorization server, which MCP's profile of OAuth would want named (2026-07-28, Authorization Server
Location). RFC 9728 lets a resource name none; clients then try this server for one, and are told so by it.
"""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agentdb_mcp.core.tokens import Scope as TokenScope
from agentdb_mcp.entrypoints.asgi import Scope
from agentdb_mcp.entrypoints.http.doorman import LOOPBACK, Names

_METADATA: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728 section 3: the path of the resource is appended."""

_OF_SERVERS: Final = ("/.well-known/{rest:path}", "/register", "/authorize", "/token")
"""Metadata of RFC 8414 and OpenID, and the addresses that MCP's version 2025-03-26 assumed."""

_NO_SERVER: Final = {
    "error": "access_denied",
    "error_description": "This server signs nobody in. Whoever runs it makes a token (agentdb token create); "
    "configure it in the client as the header 'Authorization: Bearer adb_...'.",
}


def metadata_of(scope: Scope, path: str) -> str:
    """Where the metadata of the resource at that path is."""
    return _origin(scope) + _METADATA + path


def discovery(resources: Sequence[tuple[str, TokenScope]]) -> list[Route]:
    """Routes for strangers: the metadata of each resource, and a plain no for the rest."""

    def described(path: str, needs: TokenScope) -> Route:
        async def describe(request: Request) -> JSONResponse:
            facts = {
                "resource": _origin(request.scope) + path,
                "resource_name": "agentdb",
                "scopes_supported": [needs],
                "bearer_methods_supported": ["header"],
            }
            return JSONResponse(facts)

        return Route(_METADATA + path, describe, methods=["GET"])

    async def refuse(_: Request) -> JSONResponse:
        return JSONResponse(_NO_SERVER, 404)

    refusing = [Route(path, refuse, methods=["GET", "POST"]) for path in _OF_SERVERS]
    return [*(described(path, needs) for path, needs in resources), *refusing]


def _origin(scope: Scope) -> str:
    """Ours, by the name that the doorman let in. Others than this machine reach us through TLS only."""
    host = next(value for name, value in scope["headers"] if name == b"host").decode("latin-1")
    return f"{'http' if Names(LOOPBACK).admit(host) else 'https'}://{host}"
