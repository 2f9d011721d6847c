"""Builds the HTTP server from the engine and the fronts, and runs it. `agentdb mcp` imports none of this."""

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from agentdb_mcp.app import open_app
from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.tokens import Scope
from agentdb_mcp.engine import Engine, open_engine, warn_of_admin_keys
from agentdb_mcp.entrypoints.http.bearer import Gate
from agentdb_mcp.entrypoints.http.exchange import MOST_BODY
from agentdb_mcp.entrypoints.http.gateway import Front, House, gateway
from agentdb_mcp.entrypoints.http.serving import bound, serve
from agentdb_mcp.settings import Settings
from agentdb_mcp.store import Changes

if TYPE_CHECKING:
    from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools

DATABASES: Final = (Kind.AGENT, Kind.GLOBAL)

KEPT_TOOLS: Final = 1_000
"""Agents whose tools are kept made; of more, the longest unused are made again."""


async def serve_http(settings: Settings, host: str, port: int, *, sse: bool) -> None:
    """Serves until told to end. Raises Misconfigured for an address that cannot, or must not, be served."""
    warn_of_admin_keys(settings)
    with _listening(settings, host, port) as (house, listening):
        async with open_engine(settings) as engine, agent_fronts(engine, sse=sse) as fronts:
            await _serve(house, listening, Gate(engine.access, engine.changes), engine.changes, fronts)


async def serve_hosts(settings: Settings, host: str, port: int) -> None:
    """The same for hosts' calls: this process makes and drops databases, and runs no agent's statement."""
    from agentdb_mcp.entrypoints.http.hosts import Desk, host_fronts

    with _listening(settings, host, port) as (house, listening):
        async with open_app(settings) as app:
            fronts = host_fronts(Desk(app.lifecycle, app.tokens, app.environment, app.once))
            await _serve(house, listening, Gate(app.access, app.changes), app.changes, fronts)


@contextmanager
def _listening(settings: Settings, host: str, port: int) -> Generator[tuple[House, socket.socket]]:
    house = House(host, settings.http_allowed_hosts, settings.http_allowed_origins)
    house.check()
    with bound(host, port) as listening:
        yield house, listening


async def _serve(
    house: House, listening: socket.socket, gate: Gate, changes: Changes, fronts: Sequence[Front]
) -> None:
    host, port = listening.getsockname()[:2]
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    watching = asyncio.create_task(gate.watch())
    gc.freeze()  # what was imported stays for good, and need not be walked again
    try:
        app = gateway(house, gate, changes, fronts)
        await serve(app, gate, listening, lambda: print(f"serving {where}", flush=True))
    finally:
        watching.cancel()


@asynccontextmanager
async def agent_fronts(engine: Engine, *, sse: bool) -> AsyncGenerator[list[Front]]:
    """What agents reach: one server object for all of them, on one or two transports."""
    from agentdb_mcp.entrypoints.mcp import streamable
    from agentdb_mcp.entrypoints.mcp.server import agent_server
    from agentdb_mcp.entrypoints.mcp.sse import MESSAGE_PATH, STREAM_PATH, LegacySse

    @lru_cache(maxsize=KEPT_TOOLS)
    def tools(principal: Principal) -> "AgentTools":
        return engine.tools(principal, DATABASES)

    def tools_of(context: Any) -> "AgentTools":
        return tools(streamable.principal_of(context.request.scope))

    server = agent_server(DATABASES, tools_of)
    async with streamable.streamable_http(server, MOST_BODY) as app:
        fronts = [Front(streamable.PATH, streamable.METHODS, app, Scope.AGENT)]
        if sse:
            legacy = LegacySse(server)
            fronts += [
                Front(STREAM_PATH, ("GET",), streamable.known_to_sdk(legacy.stream), Scope.AGENT),
                Front(MESSAGE_PATH, ("POST",), legacy.message, Scope.AGENT),
            ]
        yield fronts
