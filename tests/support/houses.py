"""Where databases come from: one house for each provider, with what a test must see behind it.

A test of the contract speaks to `provider`, and asks the house where providers may differ.
"""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from agentdb_mcp.core.databases import DatabaseSpec, Observed
from agentdb_mcp.fake_neon.states import Project
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.roles import Names
from agentdb_mcp.providers.server import ServerProvider
from support.neon import Neon, neon_at
from support.servers import KINDS, Server, fresh_spec
from support.waiting import until

NEON = "Neon"
HOUSES = [*KINDS, NEON]


class House(Protocol):
    """A provider, what it offers, and a way to look behind it."""

    @property
    def provider(self) -> Provider: ...

    @property
    def hardens(self) -> bool:
        """Whether its administrator may set everything there is to set."""
        ...

    @property
    def meters(self) -> bool:
        """Whether it counts what was used, and not only what is stored."""
        ...

    @property
    def unseen(self) -> Observed:
        """What is said of a database on record that is nowhere."""
        ...

    def new_spec(self) -> DatabaseSpec:
        """Another database, which is gone after the test."""
        ...

    def handle_of(self, spec: DatabaseSpec) -> str:
        """A handle as this provider gives them, of what is not there."""
        ...

    async def instances(self, spec: DatabaseSpec) -> int:
        """How many databases there are for this one: two would bill twice."""
        ...

    async def roles_left(self, spec: DatabaseSpec) -> int:
        """How many of its roles there are."""
        ...

    async def awake(self, spec: DatabaseSpec) -> bool:
        """Whether something runs that a connection to the database would start."""
        ...

    async def half_pause(self, spec: DatabaseSpec, project_id: str) -> None:
        """As a pause leaves it that was cut short."""
        ...

    async def add_others(self, spec: DatabaseSpec) -> str:
        """Something of other people's, named nearly as ours; its handle."""
        ...

    async def settle(self) -> None:
        """Let the provider do what it does in its own time: end sessions, count what was used."""
        ...


@dataclass(frozen=True, slots=True)
class ServerHouse:
    """A PostgreSQL server: the embedded one, or one that somebody runs."""

    server: Server
    made: list[DatabaseSpec] = field(default_factory=list[DatabaseSpec])
    others: list[str] = field(default_factory=list[str])
    meters: bool = False
    unseen: Observed = Observed.DELETED

    @property
    def provider(self) -> ServerProvider:
        return self.server.provider()

    @property
    def hardens(self) -> bool:
        return self.server.hardens

    def new_spec(self) -> DatabaseSpec:
        self.made.append(fresh_spec())
        return self.made[-1]

    def handle_of(self, spec: DatabaseSpec) -> str:
        return Names.of(spec.id).database

    async def instances(self, spec: DatabaseSpec) -> int:
        return await self._count("pg_database WHERE datname = ANY($1)", [Names.of(spec.id).database])

    async def roles_left(self, spec: DatabaseSpec) -> int:
        return await self._count("pg_roles WHERE rolname = ANY($1)", list(Names.of(spec.id).roles))

    async def awake(self, spec: DatabaseSpec) -> bool:
        return await self._count("pg_stat_activity WHERE datname = ANY($1)", [Names.of(spec.id).database]) > 0

    async def half_pause(self, spec: DatabaseSpec, project_id: str) -> None:
        assert project_id == Names.of(spec.id).database
        async with self.server.looking() as superuser:
            await superuser.execute(f"ALTER ROLE {Names.of(spec.id).reader} NOLOGIN")

    async def add_others(self, spec: DatabaseSpec) -> str:
        """With a name of ours, and another owner."""
        self.others.append(Names.of(spec.id).database)
        async with self.server.looking() as superuser:
            await superuser.execute(f"CREATE DATABASE {self.others[-1]}")
        return self.others[-1]

    async def settle(self) -> None:
        """A server does everything at once, but for the end of processes whose client has left."""
        for spec in self.made:
            await until(partial(self._quiet, spec))

    async def clear(self) -> None:
        async with self.server.looking() as superuser:
            for name in self.others:
                await superuser.execute(f"DROP DATABASE {name}")
        for spec in self.made:
            await ServerProvider(self.server.superuser).delete(spec, None)

    async def _quiet(self, spec: DatabaseSpec) -> bool:
        return not await self.awake(spec)

    async def _count(self, which: str, names: list[str]) -> int:
        async with self.server.looking() as superuser:
            return await superuser.fetchval(f"SELECT count(*) FROM {which}", names)


@dataclass(frozen=True, slots=True)
class NeonHouse:
    """The stand-in for Neon, with databases on the embedded server."""

    neon: Neon
    server: Server
    hardens: bool = False
    meters: bool = True
    unseen: Observed = Observed.UNKNOWN
    """A key of another organization sees none of ours."""

    @property
    def provider(self) -> NeonProvider:
        return self.neon.provider

    def new_spec(self) -> DatabaseSpec:
        return fresh_spec()

    def handle_of(self, spec: DatabaseSpec) -> str:
        return f"cold-bonus-{int(spec.id[:6], 16):08}"

    async def instances(self, spec: DatabaseSpec) -> int:
        return len(self._projects(spec))

    async def roles_left(self, spec: DatabaseSpec) -> int:
        async with self.server.looking() as superuser:
            query = "SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)"
            return await superuser.fetchval(query, list(Names.of(spec.id).roles))

    async def awake(self, spec: DatabaseSpec) -> bool:
        endpoints = [each for project in self._projects(spec) for each in project.endpoints.values()]
        return any("active" in {each.state, each.pending_state} for each in endpoints)

    async def half_pause(self, spec: DatabaseSpec, project_id: str) -> None:
        (project,) = self._projects(spec)
        (endpoint,) = project.endpoints
        await self.neon.api.change_endpoint(project_id, endpoint, {"disabled": True})

    async def add_others(self, spec: DatabaseSpec) -> str:
        """With all of our name in its own."""
        theirs = await self.neon.api.create_project({"name": f"mine-agentdb-agent-{spec.id}"})
        return theirs.project.id

    async def settle(self) -> None:
        self.neon.clock.advance(hours=2)
        await self.neon.fake.catch_up()

    def _projects(self, spec: DatabaseSpec) -> list[Project]:
        return [each for each in self.neon.projects() if each.name.endswith(spec.id)]


@asynccontextmanager
async def open_house(kind: str, server: Server) -> AsyncIterator[House]:
    """Clean afterwards: hundreds of databases that stay would fill the disk and slow the run down."""
    async with contextlib.AsyncExitStack() as stack:
        if kind == NEON:
            yield NeonHouse(await stack.enter_async_context(neon_at(server.superuser)), server)
            return
        house = ServerHouse(server)
        stack.push_async_callback(house.clear)
        yield house
