"""Which names of ours, and which web pages, a request may speak of: the wall against DNS rebinding.

A page of any site can make its visitor's browser send requests to 127.0.0.1, or to a name that it points
there. What the browser adds, Host and Origin, the page cannot choose.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from agentdb_mcp.core.errors import Denied
from agentdb_mcp.entrypoints.asgi import App, Receive, Scope, Send
from agentdb_mcp.entrypoints.http.answers import send_error

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_OPEN_TO_PROBES: Final = frozenset({"/healthz", "/readyz"})
"""Load balancers ask by address. The answers hold nothing of anybody's."""


class Names:
    """Names that are allowed. One without a port stands for every port."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def admit(self, name: str) -> bool:
        """Whether it is one of them."""
        return name.lower() in self._names or _without_port(name.lower()) in self._names


def _without_port(name: str) -> str:
    head, colon, port = name.rpartition(":")
    return head if colon and port.isdigit() else name


class Doorman:
    """Lets in what names us as we are called, from nowhere or from a page that may."""

    def __init__(self, app: App, hosts: Names, origins: Names) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN_TO_PROBES:
            hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
            if len(hosts) != 1 or not self._hosts.admit(hosts[0]):
                await send_error(scope, send, _refused("Host"), status=421)
                return
            if not all(map(self._origins.admit, origins)):
                await send_error(scope, send, _refused("Origin"), status=403)
                return
        await self._app(scope, receive, send)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _refused(header: str) -> Denied:
    return Denied(
        "forbidden",
        f"This server does not answer to that {header}.",
        f"Whoever runs it lists what is allowed in AGENTDB_HTTP_ALLOWED_{header.upper()}S.",
    )
