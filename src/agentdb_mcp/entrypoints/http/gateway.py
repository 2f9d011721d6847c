"""One HTTP server for all that agents and hosts ask: fronts behind one door, and two probes before it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.tokens import Scope as TokenScope
from agentdb_mcp.entrypoints.asgi import App
from agentdb_mcp.entrypoints.http.answers import nothing_here
from agentdb_mcp.entrypoints.http.bearer import Bearer, Gate
from agentdb_mcp.entrypoints.http.discovery import discovery
from agentdb_mcp.entrypoints.http.doorman import LOOPBACK, Doorman, Names, is_loopback
from agentdb_mcp.entrypoints.http.exchange import Exchange
from agentdb_mcp.entrypoints.http.room import Room
from agentdb_mcp.entrypoints.http.unread import Unread
from agentdb_mcp.store import Changes


@dataclass(frozen=True, slots=True)
class Front:
    """An application at a path, for callers whose token has the scope."""

    path: str
    methods: Sequence[str]
    app: App
    needs: TokenScope

    @property
    def resource(self) -> str | None:
        """Its path, where clients can be told what is there: where it is one address."""
        return None if "{" in self.path else self.path


@dataclass(frozen=True, slots=True)
class House:
    """Under which names we answer, and to whose pages."""

    address: str
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises Misconfigured when others could reach us, and nothing says under which names they may."""
        if not is_loopback(self.address) and not self.hosts:
            raise Misconfigured(
                "settings_invalid",
                f"Others could reach {self.address}, and nothing says under which names they may.",
                "Set AGENTDB_HTTP_ALLOWED_HOSTS to the names clients use, for example db.example.com, "
                "and let a proxy add TLS; or serve on 127.0.0.1.",
            )

    def doorman(self, app: App) -> Doorman:
        """Before everything else."""
        hosts, origins = self.hosts, self.origins
        if is_loopback(self.address):
            hosts = (*hosts, *LOOPBACK)
            origins = (*origins, *(f"http://{name}" for name in LOOPBACK))
        return Doorman(app, Names(hosts), Names(origins))


def gateway(house: House, gate: Gate, changes: Changes, fronts: Sequence[Front]) -> App:
    """The whole server as one application; `gate.watch()` is to run beside it."""

    async def healthy(_: Request) -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> JSONResponse:
        """Calls can be served: the control plane is there, as far as its announcements tell."""
        heard = changes.version is not None
        return JSONResponse({"status": "ok" if heard else "no control plane"}, 200 if heard else 503)

    room = Room()
    routes = [
        Route(
            front.path,
            Bearer(gate, Exchange(front.app, room), front.needs, front.resource),
            methods=list(front.methods),
        )
        for front in fronts
    ]
    probes = [Route("/healthz", healthy), Route("/readyz", ready)]
    resources = [(front.resource, front.needs) for front in fronts if front.resource is not None]
    app = Starlette(
        routes=[*probes, *routes, *discovery(resources)],
        exception_handlers={HTTPException: nothing_here(_served(fronts))},
    )
    return Unread(house.doorman(app))


def _served(fronts: Sequence[Front]) -> str:
    paths = dict.fromkeys(front.path.partition("{")[0] for front in fronts)
    return f"This server answers at {', '.join(paths)}."
