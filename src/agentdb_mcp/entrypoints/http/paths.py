"""Ids in addresses, taken exactly or not at all.

uvicorn and Starlette put U+FFFD for bytes that are no UTF-8: two ids would be one. They also take an encoded
slash for one that parts the path, and leave an escape that is none as it stands, so that one id would have
two addresses (RFC 3986 sections 2.1 and 6.2.2).
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.entrypoints.asgi import App, Receive, Scope, Send
from agentdb_mcp.entrypoints.http.answers import send_error

_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Legible:
    """Lets in only addresses that say one thing."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for piece in scope["raw_path"].split(b"/"):
                _check_segment(_text(piece))
            _text(scope["query_string"])
        except Invalid as error:
            await send_error(scope, send, error)
        else:
            await self._app(scope, receive, send)


def _text(raw: bytes) -> str:
    if _NO_ESCAPE.search(raw):
        raise _illegible("holds a % that begins no escape", "Write a % of an id as %25.")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise _illegible("is not UTF-8", "Encode ids as UTF-8, then percent-encode them.") from None


def _check_segment(text: str) -> None:
    if "/" in text:
        raise _illegible("holds an encoded slash", "Ids with a / cannot be named over HTTP.")
    if text in {".", ".."}:
        raise _illegible("holds a segment of dots", "Ids of only dots cannot be named over HTTP.")


def _illegible(why: str, hint: str) -> Invalid:
    return Invalid("bad_argument", f"The address {why}.", hint)
