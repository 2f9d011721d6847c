"""Our errors as HTTP answers, the same on every route."""

import json
from typing import Any, Final

from agentdb_mcp.core.errors import (
    AgentDbError,
    Denied,
    Invalid,
    Misconfigured,
    Missing,
    SqlFailed,
    Unavailable,
)
from agentdb_mcp.entrypoints.asgi import Send
from agentdb_mcp.entrypoints.wording import as_told

_STATUS_OF_CODE: Final = {
    "not_authenticated": 401,
    "budget_exceeded": 402,
    "rate_limited": 429,
    "result_too_large": 413,
    "database_pending": 409,
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

Headers = dict[str, str]


def status_of(error: AgentDbError) -> int:
    """The HTTP status of an error: by its code where that has one of its own, else by its family."""
    return _STATUS_OF_CODE.get(error.code) or _STATUS_OF_FAMILY[type(error)]


async def send_error(
    send: Send, error: AgentDbError, *, status: int | None = None, headers: Headers | None = None
) -> None:
    """`{"error": {"code", "message", "hint"}}`, as tools answer it too."""
    await send_json(send, status or status_of(error), {"error": as_told(error)}, headers)


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
