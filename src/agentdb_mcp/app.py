"""The operator's and the host's program: what makes, changes and drops databases. Closed in reverse."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentdb_mcp.ground import Server, now, open_auditor, open_store, open_trail
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.settings import Settings
from agentdb_mcp.store import Changes, Rotation, Store

if TYPE_CHECKING:
    from agentdb_mcp.providers.base import Provider
    from agentdb_mcp.services.auditor import Auditor
    from agentdb_mcp.services.doctor import Doctor
    from agentdb_mcp.services.environment import EnvironmentService
    from agentdb_mcp.services.host_calls import OnceOnly
    from agentdb_mcp.services.importing import Importer
    from agentdb_mcp.services.lifecycle import LifecycleService
    from agentdb_mcp.services.reconciler import Reconciler
    from agentdb_mcp.services.sweeper import Sweeper
    from agentdb_mcp.services.tokens import TokenService

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


async def migrate(settings: Settings) -> tuple[str, ...]:
    """Brings the control plane's schema up to this build's; the names of the migrations that were applied."""
    async with AsyncExitStack() as stack:
        store = await open_store(settings, await Server.open(settings, stack), stack)
        return await store.migrate()


async def work(settings: Settings, ready: Callable[[], None]) -> None:
    """Carries out what is wanted until the process is told to end; `ready` is called once it has begun."""
    from agentdb_mcp.services.worker import Worker

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with open_app(settings) as app:
        ready()
        await Worker(app.reconciler, app.changes, app.auditor, app.sweeper).run(stop)


async def rotate_keys(settings: Settings, tell: Callable[[int], None]) -> Rotation:
    """Seals every connection URI under the current key; `tell` hears how many are done."""
    async with open_app(settings) as app, app.trail.act("rotate_keys"):
        return await app.store.rotate_keys(tell)


@asynccontextmanager
async def open_app(settings: Settings, *, whole: bool = True) -> AsyncGenerator[App]:
    """The operator's program, on an up-to-date control plane. Not `whole`: a missing key of Neon's is the
    doctor's to tell of, and stops nothing else.
    """
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
        store = await open_store(settings, server, stack)
        await store.migrate()
        if server.embedded is not None:
            await store.give_audit_away(server.embedded.control_admin_uri)
        await store.check_keys()
        if settings.delete_grace_hours is not None:
            await store.set_delete_grace(settings.delete_grace_hours)
        providers = await _providers(settings, server, store, whole=whole)
        for provider in providers:
            stack.push_async_callback(provider.close)
        by_name = {provider.name: provider for provider in providers}
        trail = await stack.enter_async_context(open_trail(settings, store).writing())
        reconciler = Reconciler(store, by_name)
        changes = await stack.enter_async_context(store.changes())
        access = AccessService(store, changes, server.premises(), clock=now)
        lifecycle = LifecycleService(store, reconciler, provider=settings.provider, trail=trail)
        sweeper = Sweeper(store, by_name)
        doctor = Doctor(store, by_name, sweeper, chosen=settings.provider)
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
            auditor=open_auditor(settings, store),
            environment=EnvironmentService(store, access, trail),
            once=OnceOnly(store),
        )


async def _providers(settings: Settings, server: Server, store: Store, *, whole: bool) -> "list[Provider]":
    """Every place databases may lie in. Raises Misconfigured when Neon is chosen and there is no key, unless
    what is there need not be the whole.
    """
    from agentdb_mcp.providers.server import ServerProvider

    if settings.provider != "neon":
        return [ServerProvider(server.admin, name=settings.provider)]
    own = ServerProvider(server.admin, name="server" if server.embedded is None else "local")
    if settings.neon_api_key is None and not whole:
        return [own]
    from agentdb_mcp.providers.neon import PREFIX, open_neon
    from agentdb_mcp.providers.neon_defaults import in_region
    from agentdb_mcp.providers.neon_http import BASE_URL

    neon = open_neon(
        settings.neon_api_key,
        store,
        org_id=settings.neon_organization,
        base_url=settings.neon_api_url or BASE_URL,
        plans=in_region(settings.neon_region),
        prefix=f"{PREFIX}-{await store.installation_mark()}",
        on_record_of_others=store.on_record_of_others,
    )
    return [neon, own]
