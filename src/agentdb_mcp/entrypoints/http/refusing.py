"""What hosts are told when a call is not done, in the words of calls."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.entrypoints.asgi import App
from agentdb_mcp.entrypoints.http.answers import nothing_here, status_of
from agentdb_mcp.entrypoints.http.paths import Legible
from agentdb_mcp.entrypoints.wording import as_told

_IN_CALLS: Final = {
    "user_not_found": "Register it first: PUT /api/users/{user}.",
    "workspace_not_found": "Create it first: PUT /api/workspaces/{workspace}.",
    "token_not_found": "POST /api/workspaces/{workspace}/tokens tells a token's id when it makes it.",
    "database_not_found": "GET /api/users/{user}/databases lists a user's.",
    "database_protected": "When it is meant: POST /api/databases/{database}/unprotect, then delete again.",
}
"""Hints for a host, which makes calls where an operator gives commands."""

_LISTED: Final = "docs/how-to/host-api.md lists the calls."


def application(routes: Sequence[Route]) -> App:
    """The routes, and our errors for whatever they raise and for what is none of them."""
    handlers: dict[Any, Any] = {AgentDbError: _refuse, HTTPException: nothing_here(_LISTED)}
    return Legible(Starlette(routes=list(routes), exception_handlers=handlers))


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, AgentDbError)
    body = as_told(error)
    if error.code in _IN_CALLS:
        body["hint"] = _IN_CALLS[error.code]
    return JSONResponse({"error": body}, status_code=status_of(error))
