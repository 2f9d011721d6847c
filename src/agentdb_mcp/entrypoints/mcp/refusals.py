"""What is answered to a line that is no message: JSON-RPC errors, under the request's id where it is known.

Without the id, the client that sent the line would wait for its answer until its own timeout.
"""

import json
import re
from typing import Any, Final

from pydantic_core import from_json

from agentdb_mcp.entrypoints.mcp.wire import LONGEST_LINE, TooLong

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
"""JSON-RPC 2.0 section 5.1."""

_WRONG_ID: Final = "The id of a request is a string or a whole number."

_ID: Final = rb'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}")'
_ID_FIRST: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_ID_LAST: Final = re.compile(rb"[,{]\s*" + _ID + rb"\s*\}\s*\Z")
"""The two places where clients put a request's id. In well-formed JSON both can only be the message's own."""


def malformed(line: bytes) -> bytes:
    """The answer to a line that is not JSON, or JSON but no message."""
    try:
        body: Any = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, PARSE_ERROR, "This line is not JSON.")
    if isinstance(body, list):
        return _error(
            None, INVALID_REQUEST, "Batches are not served: send each message on a line of its own."
        )
    request_id = body.get("id") if isinstance(body, dict) and "method" in body else None
    return _error(request_id if _is_id(request_id) else None, INVALID_REQUEST, _fault(body))


def without_id(line: bytes) -> bytes | None:
    """The refusal of what the SDK takes for a notification though it has an id, or None when it has none.

    JSON-RPC 2.0 section 4 lets only a message without the member `id` go unanswered; MCP allows strings and
    whole numbers there, so that an answer under null is all there can be.
    """
    body: Any = from_json(line)  # the parser that accepted it
    return _error(None, INVALID_REQUEST, _WRONG_ID) if "id" in body else None


def too_long(line: TooLong) -> bytes:
    """The answer to a line above the bound, of which only the ends were kept."""
    found = _ID_FIRST.match(line.head) or _ID_LAST.search(line.tail)
    return _error(
        None if found is None else json.loads(found[1]),
        INVALID_REQUEST,
        f"A message has at most {LONGEST_LINE} bytes, this one {line.length}: send data in several calls.",
    )


def _fault(body: Any) -> str:
    if not _is_text(body):
        return "A string holds half of a surrogate pair (\\ud800 to \\udfff), which stands for no character."
    if isinstance(body, dict) and "id" in body and not _is_id(body["id"]):
        return _WRONG_ID
    return "This is not a JSON-RPC 2.0 message."


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_text(body: Any) -> bool:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _error(request_id: str | int | None, code: int, message: str) -> bytes:
    body = {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
    return json.dumps(body).encode() + b"\n"
