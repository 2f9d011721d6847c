"""Our errors as HTTP answers, the same on every route."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentdb_mcp.core.errors import (
    AgentDbError,
    Denied,
    Invalid,
    Misconfigured,
    Missing,
    SqlFailed,
    Unavailable,
)
from agentdb_mcp.entrypoints.asgi import Scope, Send
from agentdb_mcp.entrypoints.wording import as_told, in_words

_STATUS_OF_CODE: Final = {
    "not_authenticated": 401,
    "budget_exceeded": 402,
    "rate_limited": 429,
    "result_too_large": 413,
    "database_pending": 409,
    "call_in_progress": 409,
    "idempotency_conflict": 422,
    "query_timeout": 504,
    "internal": 500,
}
_STATUS_OF_FAMILY: Final[dict[type[AgentDbError], int]] = {
    Denied: 403,
    Invalid: 400,
    Missing: 404,
    Unavailable: 503,
    Misconfigured: 500,
    SqlFailed: 422,
}

_INVALID_REQUEST: Final = -32600
_INTERNAL_ERROR: Final = -32603
"""JSON-RPC 2.0 section 5.1."""

_OURS: Final = 500
"""Statuses from here on are faults of the server's."""

Headers = dict[str, str]


def status_of(error: AgentDbError) -> int:
    """The HTTP status of an error: by its code where that has one of its own, else by its family."""
    return _STATUS_OF_CODE.get(error.code) or _STATUS_OF_FAMILY[type(error)]


async def send_error(
    scope: Scope,
    send: Send,
    error: AgentDbError,
    *,
    status: int | None = None,
    headers: Headers | None = None,
) -> None:
    """As `error_body` has it."""
    status = status or status_of(error)
    await send_json(send, status, error_body(scope, error, status), headers)


def error_body(scope: Scope, error: AgentDbError, status: int) -> dict[str, Any]:
    """`{"error": {"code", "message", "hint"}}`, as tools answer it too; for MCP's clients, inside JSON-RPC.

    They show a person only what comes in that form (MCP, Streamable HTTP: an error response without an id).
    """
    if not _reads_json_rpc(scope):
        return {"error": as_told(error)}
    return _rpc_error(None, error, status)


def last_event(request: bytes, error: AgentDbError) -> bytes:
    """For a stream that ends before its request was answered: clients would wait on until their own timeout.

    Nothing for what is no request of JSON-RPC. The empty lines end an event that was cut.
    """
    with suppress(ValueError, RecursionError):
        message: Any = json.loads(request)
        if isinstance(message, dict) and "method" in message and "id" in message:
            told = json.dumps(_rpc_error(message["id"], error, status_of(error)))
            return f"\r\n\r\nevent: message\r\ndata: {told}\r\n\r\n".encode()
    return b""


def _rpc_error(request_id: Any, error: AgentDbError, status: int) -> dict[str, Any]:
    told = as_told(error)
    code = _INTERNAL_ERROR if status >= _OURS else _INVALID_REQUEST
    refusal = {"code": code, "message": in_words(told), "data": told}
    return {"jsonrpc": "2.0", "id": request_id, "error": refusal}


def _reads_json_rpc(scope: Scope) -> bool:
    """Each POST of an MCP client accepts both forms of answers, as it must; no other caller of ours does."""
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"application/json" in accepted and b"text/event-stream" in accepted


async def send_json(send: Send, status: int, body: Any, headers: Headers | None = None) -> None:
    """A small answer, whole."""
    content = json.dumps(body).encode()
    given = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        "cache-control": "no-store",
        **(headers or {}),
    }
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def nothing_here(hint: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    """For requests that no route takes: an error of ours, where Starlette would send plain text."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        unknown = Invalid("bad_argument", f"There is no {request.method} at this path.", hint)
        body = error_body(request.scope, unknown, error.status_code)
        return JSONResponse(body, error.status_code, error.headers)

    return answer
