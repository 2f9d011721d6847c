"""What is in a database: its tables, one table in full, what changed, and what it is itself."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.schema import Budget, DatabaseFacts, Limits, Listing, TableDescription, TableList
from agentdb_mcp.core.shapes import SchemaHistory
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.versions import Versions


class SchemaService:
    """Reads the catalogs as the agent's own reader role: nobody sees more than the agent may."""

    def __init__(
        self,
        access: AccessService,
        catalog: Catalog,
        versions: Versions,
        *,
        turns: Turns,
        limits: Limits,
        trail: Trail,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._versions = versions
        self._turns = turns
        self._trail = trail
        self.limits = limits
        """What holds for the caller's statements."""

    async def list_tables(self, principal: Principal, kind: Kind, asked: Listing) -> TableList:
        """The tables and views, a line each. Raises Invalid("bad_argument") for an odd search."""
        recorded = self._trail.call(principal, kind, "list_tables")
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target = entry.reached(await self._access.resolve(principal, kind))
            await self._versions.look(target)
            return await self._catalog.list_tables(target, asked)

    async def describe_table(
        self, principal: Principal, kind: Kind, table: str, *, schema: str | None = None, samples: int = 0
    ) -> TableDescription:
        """One table in full, with a few values when asked. Raises Missing("table_not_found")."""
        recorded = self._trail.call(principal, kind, "describe_table")
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target = entry.reached(await self._access.resolve(principal, kind))
            await self._versions.look(target)
            return await self._catalog.describe_table(target, table, schema=schema, samples=samples)

    async def schema_names(self, principal: Principal, kind: Kind, begun: str) -> tuple[str, ...]:
        """Schemas that hold tables and whose names begin so, in order."""
        async with self._turns.turn(principal.workspace_id):
            return await self._catalog.schema_names(await self._access.resolve(principal, kind), begun)

    async def table_names(
        self, principal: Principal, kind: Kind, begun: str, *, schema: str | None = None
    ) -> tuple[str, ...]:
        """Tables and views whose names begin so, in order; of one schema when it is given."""
        async with self._turns.turn(principal.workspace_id):
            target = await self._access.resolve(principal, kind)
            return await self._catalog.table_names(target, begun, schema=schema)

    async def database_facts(self, principal: Principal, kind: Kind) -> tuple[DatabaseFacts, Budget | None]:
        """What the database is, and what its user has spent where that is metered."""
        recorded = self._trail.call(principal, kind, "database_info")
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target = entry.reached(await self._access.resolve(principal, kind))
            return await self._catalog.database_facts(target), await self._access.budget(principal)

    async def version(self, principal: Principal, kind: Kind) -> int | None:
        """The schema version, as far as is known without asking the database; None when it is not.

        It moves when a table or view is made, changed or dropped by `execute_ddl` of any server, and when
        somebody lists or describes tables after another change. Never raises for want of a version.
        """
        with suppress(AgentDbError):
            return await self._versions.known(await self._access.resolve(principal, kind))
        return None

    async def look(self, principal: Principal, kind: Kind) -> int | None:
        """The same after a look at the database: for whoever has just changed its schema."""
        with suppress(AgentDbError):
            return await self._versions.look(await self._access.resolve(principal, kind))
        return None

    async def changes(self, principal: Principal, kind: Kind, *, since: int) -> SchemaHistory:
        """What changed since a version. Raises Invalid("bad_argument") for one that is still to come."""
        recorded = self._trail.call(principal, kind, "list_tables since")
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target = entry.reached(await self._access.resolve(principal, kind))
            return await self._versions.since(target, since)

    async def news(
        self, principal: Principal, kinds: Sequence[Kind]
    ) -> AsyncGenerator[tuple[Kind, int], None]:
        """Each schema version of these databases that is new from now on, by whomever it was made.

        Ends with its consumer only. While changes are not heard nothing comes; what was missed comes after.
        """
        told: dict[Kind, int] = {}
        while True:
            count = self._versions.count
            for kind in kinds:
                version = await self.version(principal, kind)
                if version is not None and told.setdefault(kind, version) != version:
                    told[kind] = version
                    yield kind, version
            await self._versions.wait(count)
