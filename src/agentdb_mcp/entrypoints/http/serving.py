"""The sockets and the process around the gateway: uvicorn, started and ended by us."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import uvicorn

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.entrypoints.asgi import App
from agentdb_mcp.entrypoints.http.bearer import Gate
from agentdb_mcp.entrypoints.http.patience import Patient

LAST_WORDS: Final = 5.0
"""Seconds that calls under way have to finish once we are told to end."""

_BACKLOG: Final = 2_048
_SEND_BUFFER: Final = 256 * 1024
"""Bytes of an answer that the kernel takes off our hands: without a bound, megabytes for each deaf client."""

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def bound(host: str, port: int) -> socket.socket:
    """A socket that takes connections already. Raises Misconfigured("settings_invalid")."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "something else listens there" if taken else "this machine does not allow it"
        raise Misconfigured(
            "settings_invalid",
            f"Cannot listen on {host} port {port}: {why}.",
            "Choose another --host or --port; port 0 takes a free one.",
        ) from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    # Connections inherit it. asyncio sets it only on sockets that name TCP as their protocol, which this one
    # does not; without it, an answer's body waits 40 ms for the client's word that it has the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


async def serve(app: App, gate: Gate, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Until SIGTERM or SIGINT; then calls under way may finish for a moment, and are cancelled."""
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType] - uvicorn types scopes by hand, key for key
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        http=Patient,
        ws="none",
        timeout_graceful_shutdown=int(LAST_WORDS) + 2,  # the net under gate.end_all()
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = _Server(config, gate, ready)
    with server.until_signalled():
        await server.serve([listening])


class _Server(uvicorn.Server):
    """Ends in order on a signal: uvicorn's own raises it once more at the end, before anything is closed."""

    def __init__(self, config: uvicorn.Config, gate: Gate, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._gate = gate
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Nothing: signals are ours to hear."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says so once connections are answered."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def until_signalled(self) -> Generator[None]:
        """The first signal asks to end, a second one to end at once."""
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in _STOPPING:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._gate.end_streams()
        delay = 0 if self.force_exit else LAST_WORDS
        asyncio.get_running_loop().call_later(delay, self._gate.end_all)
