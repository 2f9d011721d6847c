"""The agents' program: everything between their calls and their databases.

Nothing in it makes or drops a database: it never opens an administrator's connection.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentdb_mcp import assets
from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.ground import Server, now, open_auditor, open_store, open_trail
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.settings import Settings
from agentdb_mcp.store import Changes

if TYPE_CHECKING:
    from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools
    from agentdb_mcp.entrypoints.mcp.wire import Descriptors
    from agentdb_mcp.services.confirmation import Confirmation
    from agentdb_mcp.services.loading import LoadService
    from agentdb_mcp.services.queries import QueryService
    from agentdb_mcp.services.schema import SchemaService
    from agentdb_mcp.services.transactions import Transactions
    from agentdb_mcp.services.writes import WriteService

_log = logging.getLogger(__name__)


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
        store = await open_store(settings, server, stack)
        if server.embedded is not None:
            await store.migrate()
        await store.check_keys()
        trail = await stack.enter_async_context(open_trail(settings, store, fingerprint).writing())
        if server.embedded is not None:  # there may be no worker
            pruning = asyncio.create_task(open_auditor(settings, store).prune_quietly())
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
            admission, catalog, runner, turns, rule=settings.destructive, most_rows=settings.confirm_rows
        )
        loads = LoadService(
            access, admission, runner, turns=turns, catalog=catalog, transactions=transactions
        )
        yield Engine(access, changes, queries, writes, schema, confirmation, transactions, loads)


def _import_stdio() -> "Callable[[AgentTools, Descriptors], Awaitable[None]]":
    from agentdb_mcp.entrypoints.mcp.stdio import serve_stdio as serve

    return serve
