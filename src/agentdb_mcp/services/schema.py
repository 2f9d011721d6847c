"""What is in a database: its tables, one table in full, and what it is itself."""

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.schema import DatabaseFacts, Limits, TableDescription, TableList
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.fairness import Turns


class SchemaService:
    """Reads the catalogs as the agent's own reader role: nobody sees more than the agent may."""

    def __init__(self, access: AccessService, catalog: Catalog, *, turns: Turns, limits: Limits) -> None:
        self._access = access
        self._catalog = catalog
        self._turns = turns
        self.limits = limits
        """What holds for the caller's statements."""

    async def list_tables(
        self, principal: Principal, kind: Kind, *, schema: str | None = None, pattern: str | None = None
    ) -> TableList:
        """The tables and views, a line each; narrowed to a schema or a LIKE pattern when given."""
        async with self._turns.turn(principal.workspace_id):
            target = await self._access.resolve(principal, kind)
            return await self._catalog.list_tables(target, schema=schema, pattern=pattern)

    async def describe_table(
        self, principal: Principal, kind: Kind, table: str, *, schema: str | None = None
    ) -> TableDescription:
        """One table in full. Raises Missing("table_not_found") with the nearest names."""
        async with self._turns.turn(principal.workspace_id):
            target = await self._access.resolve(principal, kind)
            return await self._catalog.describe_table(target, table, schema=schema)

    async def database_facts(self, principal: Principal, kind: Kind) -> DatabaseFacts:
        """What the database is."""
        async with self._turns.turn(principal.workspace_id):
            return await self._catalog.database_facts(await self._access.resolve(principal, kind))
