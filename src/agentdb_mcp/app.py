"""Builds every object once, from the settings, and closes them in reverse.

Two programs are built from the same parts: the operator's, which may make databases, and the agent's
server, which may not: it never opens an administrator's connection.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from agentdb_mcp import assets
from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.services.access import AccessService, Premises
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.settings import Settings
from agentdb_mcp.store import Changes, Rotation, Store, open_keys

if TYPE_CHECKING:
    from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools
    from agentdb_mcp.entrypoints.mcp.wire import Descriptors
    from agentdb_mcp.providers.base import Provider
    from agentdb_mcp.providers.embedded import EmbeddedPostgres
    from agentdb_mcp.services.auditor import Auditor
    from agentdb_mcp.services.confirmation import Confirmation
    from agentdb_mcp.services.doctor import Doctor
    from agentdb_mcp.services.environment import EnvironmentService
    from agentdb_mcp.services.host_calls import OnceOnly
    from agentdb_mcp.services.importing import Importer
    from agentdb_mcp.services.lifecycle import LifecycleService
    from agentdb_mcp.services.loading import LoadService
    from agentdb_mcp.services.queries import QueryService
    from agentdb_mcp.services.reconciler import Reconciler
    from agentdb_mcp.services.schema import SchemaService
    from agentdb_mcp.services.sweeper import Sweeper
    from agentdb_mcp.services.tokens import TokenService
    from agentdb_mcp.services.transactions import Transactions
    from agentdb_mcp.services.writes import WriteService

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class App:
    """What an operator's or a host's process works with."""

    settings: Settings
    server: "Server"
    store: Store
    access: AccessService
    changes: Changes
    reconciler: "Reconciler"
    lifecycle: "LifecycleService"
    sweeper: "Sweeper"
    doctor: "Doctor"
    tokens: "TokenService"
    importer: "Importer"
    trail: Trail
    auditor: "Auditor"
    environment: "EnvironmentService"
    once: "OnceOnly"


@dataclass(frozen=True, slots=True)
class Server:
    """The PostgreSQL under the control plane: embedded, or the operator's own."""

    control: ConnectionUri
    """The control plane's database."""
    admin: ConnectionUri
    """May make databases and roles."""
    embedded: "EmbeddedPostgres | None"

    def premises(self) -> Premises:
        """What the services must know of a server that is ours to keep running."""
        if self.embedded is None:
            return Premises()
        embedded = self.embedded
        return Premises({"local": lambda: embedded.address}, embedded.ensure)

    @classmethod
    async def open(cls, settings: Settings, stack: AsyncExitStack) -> Self:
        """Joins or starts the embedded server, unless the settings name another."""
        if settings.control_url is not None:
            return cls(settings.control_url, settings.control_url, None)
        from agentdb_mcp.providers.embedded import EmbeddedPostgres

        embedded = await EmbeddedPostgres.open(settings.home)
        stack.push_async_callback(embedded.close)
        return cls(embedded.control_uri, embedded.admin_uri, embedded)


def now() -> datetime:
    """The clock of everything here."""
    return datetime.now(UTC)


async def migrate(settings: Settings) -> tuple[str, ...]:
    """Brings the control plane's schema up to this build's; the names of the migrations that were applied."""
    async with AsyncExitStack() as stack:
        store = await _open_store(settings, await Server.open(settings, stack), stack)
        return await store.migrate()


async def work(settings: Settings, ready: Callable[[], None]) -> None:
    """Carries out what is wanted until the process is told to end; `ready` is called once it has begun."""
    from agentdb_mcp.services.worker import Worker

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with open_app(settings) as app:
        ready()
        await Worker(app.reconciler, app.changes, app.auditor).run(stop)


async def rotate_keys(settings: Settings, tell: Callable[[int], None]) -> Rotation:
    """Seals every connection URI under the current key; `tell` hears how many are done."""
    async with open_app(settings) as app, app.trail.act("rotate_keys"):
        return await app.store.rotate_keys(tell)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncGenerator[App]:
    """The operator's program, on an up-to-date control plane."""
    from agentdb_mcp.providers import external
    from agentdb_mcp.services.doctor import Doctor
    from agentdb_mcp.services.environment import EnvironmentService
    from agentdb_mcp.services.host_calls import OnceOnly
    from agentdb_mcp.services.importing import Importer
    from agentdb_mcp.services.lifecycle import LifecycleService
    from agentdb_mcp.services.reconciler import Reconciler
    from agentdb_mcp.services.sweeper import Sweeper
    from agentdb_mcp.services.tokens import TokenService

    async with AsyncExitStack() as stack:
        server = await Server.open(settings, stack)
        store = await _open_store(settings, server, stack)
        await store.migrate()
        if server.embedded is not None:
            await store.give_audit_away(server.embedded.control_admin_uri)
        await store.check_keys()
        if settings.delete_grace_hours is not None:
            await store.set_delete_grace(settings.delete_grace_hours)
        providers = _providers(settings, server)
        for provider in providers:
            stack.push_async_callback(provider.close)
        by_name = {provider.name: provider for provider in providers}
        trail = await stack.enter_async_context(_trail(settings, store).writing())
        reconciler = Reconciler(store, by_name)
        changes = await stack.enter_async_context(store.changes())
        access = AccessService(store, changes, server.premises(), clock=now)
        lifecycle = LifecycleService(store, reconciler, provider=settings.provider, trail=trail)
        sweeper = Sweeper(store, by_name)
        doctor = Doctor(store, by_name, sweeper)
        tokens = TokenService(store, now, trail=trail)
        importer = Importer(
            store, reconciler, by_name, adopt=external.adopt, external=external.NAME, trail=trail
        )
        yield App(
            settings=settings,
            server=server,
            store=store,
            access=access,
            changes=changes,
            reconciler=reconciler,
            lifecycle=lifecycle,
            sweeper=sweeper,
            doctor=doctor,
            tokens=tokens,
            importer=importer,
            trail=trail,
            auditor=_auditor(settings, store),
            environment=EnvironmentService(store, access, trail),
            once=OnceOnly(store),
        )


def _providers(settings: Settings, server: Server) -> "list[Provider]":
    """Every place databases may lie in. Raises Misconfigured when Neon is chosen and there is no key."""
    from agentdb_mcp.providers.server import ServerProvider

    if settings.provider != "neon":
        return [ServerProvider(server.admin, name=settings.provider)]
    from agentdb_mcp.providers.neon import open_neon
    from agentdb_mcp.providers.neon_defaults import in_region
    from agentdb_mcp.providers.neon_http import BASE_URL

    neon = open_neon(
        settings.neon_api_key,
        org_id=settings.neon_organization,
        base_url=settings.neon_api_url or BASE_URL,
        plans=in_region(settings.neon_region),
        prefix=settings.neon_name_prefix,
    )
    return [neon, ServerProvider(server.admin, name="server" if server.embedded is None else "local")]


async def serve_stdio(settings: Settings, workspace_id: WorkspaceId, databases: Sequence[Kind]) -> None:
    """Serves one workspace's agent over stdin and stdout until the host hangs up."""
    from agentdb_mcp.entrypoints.mcp.wire import claimed_stdio

    warn_of_admin_keys(settings)
    with claimed_stdio() as descriptors:
        # The SDK takes most of a start to import; PostgreSQL is reached meanwhile.
        sdk = asyncio.create_task(asyncio.to_thread(_import_stdio))
        async with open_tools(settings, workspace_id, databases) as tools:
            serve = await sdk
            await serve(tools, descriptors)


def warn_of_admin_keys(settings: Settings) -> None:
    """A server of agents is no place for what opens every database."""
    if settings.neon_api_key is not None:
        _log.warning("NEON_API_KEY is set for a server of agents: it opens every database, remove it here")


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything between agents' calls and their databases."""

    access: AccessService
    changes: Changes
    queries: "QueryService"
    writes: "WriteService"
    schema: "SchemaService"
    confirmation: "Confirmation"
    transactions: "Transactions"
    loads: "LoadService"

    def tools(self, principal: Principal, databases: Sequence[Kind]) -> "AgentTools":
        """One agent's tools."""
        from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools

        return AgentTools(
            principal,
            databases,
            self.queries,
            self.writes,
            self.schema,
            confirmation=self.confirmation,
            transactions=self.transactions,
            loads=self.loads,
        )


@asynccontextmanager
async def open_tools(
    settings: Settings, workspace_id: WorkspaceId, databases: Sequence[Kind]
) -> "AsyncGenerator[AgentTools]":
    """The tools of one workspace's agent."""
    async with open_engine(settings) as engine:
        yield engine.tools(await engine.access.authenticate_workspace(workspace_id), databases)


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncGenerator[Engine]:
    """For agents of one workspace or of all: nothing in it makes or drops a database."""
    from agentdb_mcp.core.guard import Guard, fingerprint, load_policies
    from agentdb_mcp.execution.catalog import Catalog
    from agentdb_mcp.execution.pools import PoolLimits, Pools
    from agentdb_mcp.execution.runner import Runner
    from agentdb_mcp.execution.shapes import Shapes
    from agentdb_mcp.services.admission import Admission
    from agentdb_mcp.services.confirmation import Confirmation
    from agentdb_mcp.services.cursors import Cursors
    from agentdb_mcp.services.fairness import Share, Turns
    from agentdb_mcp.services.loading import LoadService
    from agentdb_mcp.services.notices import log_judgement
    from agentdb_mcp.services.plans import Planner
    from agentdb_mcp.services.queries import QueryService
    from agentdb_mcp.services.schema import SchemaService
    from agentdb_mcp.services.transactions import ROOM, Transactions
    from agentdb_mcp.services.versions import Versions
    from agentdb_mcp.services.writes import WriteService

    async with AsyncExitStack() as stack:
        server = await Server.open(settings, stack)
        store = await _open_store(settings, server, stack)
        if server.embedded is not None:
            await store.migrate()
        await store.check_keys()
        trail = await stack.enter_async_context(_trail(settings, store, fingerprint).writing())
        if server.embedded is not None:  # there may be no worker
            pruning = asyncio.create_task(_auditor(settings, store).prune_quietly())
            stack.callback(pruning.cancel)
        changes = await stack.enter_async_context(store.changes())
        access = AccessService(store, changes, server.premises(), clock=now)
        turns = Turns(Share(settings.max_concurrent, patience=settings.statement_timeout_seconds))
        pools = Pools(PoolLimits(size=settings.max_concurrent + ROOM))
        stack.push_async_callback(pools.close)
        runner = Runner(pools)
        transactions = Transactions(access, runner, turns, now, trail=trail)
        stack.push_async_callback(transactions.close)
        policies = load_policies(assets.folder("policies"))
        guard = Guard(notice=log_judgement)
        # The parsers are loaded by the first statement there is: better this one than the agent's.
        warming = asyncio.create_task(asyncio.to_thread(guard.inspect, "SELECT 1", policies["agent"]))
        stack.callback(warming.cancel)
        cursors = Cursors(now)
        admission = Admission(access, guard, policies, settings.caps, trail=trail, planner=Planner(runner))
        queries = QueryService(admission, runner, turns, cursors, transactions)
        writes = WriteService(admission, runner, turns, transactions)
        versions = Versions(store, changes, Shapes(runner))
        catalog = Catalog(pools)
        schema = SchemaService(access, catalog, versions, turns=turns, limits=settings.limits, trail=trail)
        confirmation = Confirmation(
            admission, catalog, turns, settings.destructive, most_rows=settings.confirm_rows
        )
        loads = LoadService(
            access, admission, runner, turns=turns, catalog=catalog, transactions=transactions
        )
        yield Engine(access, changes, queries, writes, schema, confirmation, transactions, loads)


async def _open_store(settings: Settings, server: Server, stack: AsyncExitStack) -> Store:
    keys = open_keys(settings.encryption_key, settings.old_encryption_keys, settings.key_file)
    embedded = server.embedded
    store = await Store.open(server.control if embedded is None else lambda: embedded.control_uri, keys)
    stack.push_async_callback(store.close)
    return store


def _trail(
    settings: Settings, store: Store, fingerprint: Callable[[str], bytes | None] | None = None
) -> Trail:
    full_text = settings.audit_statements == "full"
    return Trail(store, now, mode=settings.audit, full_text=full_text, fingerprint=fingerprint)


def _auditor(settings: Settings, store: Store) -> "Auditor":
    from agentdb_mcp.services.auditor import Auditor, Retention

    return Auditor(store, Retention(settings.audit_days, settings.audit_rows), now)


def _import_stdio() -> "Callable[[AgentTools, Descriptors], Awaitable[None]]":
    from agentdb_mcp.entrypoints.mcp.stdio import serve_stdio as serve

    return serve
