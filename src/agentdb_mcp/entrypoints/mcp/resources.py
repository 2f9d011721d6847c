"""What an agent's databases hold, to be attached to a conversation: lists of tables, and tables in full.

Knows nothing of any SDK. The list of resources names the roots alone, so that connecting a client does not
wake a database that sleeps; tables are reached by the template, whose parts complete themselves.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.schema import Listing
from agentdb_mcp.entrypoints.mcp import tables
from agentdb_mcp.entrypoints.mcp.addresses import Address
from agentdb_mcp.services.schema import SchemaService

MOST_COMPLETIONS: Final = 100
"""Values of one completion (MCP 2025-11-25, "Completion")."""


class AgentResources:
    """The resources of one principal, read with its reader's rights."""

    def __init__(self, principal: Principal, databases: Sequence[Kind], schema: SchemaService) -> None:
        self.principal = principal
        self._databases = tuple(databases)
        self._schema = schema

    def address(self, uri: str) -> Address | None:
        """What the URI addresses, where this agent has such a database."""
        found = Address.parsed(uri)
        return found if found is not None and found.kind in self._databases else None

    async def read(self, address: Address) -> str:
        """The text that the tools answer with. Raises what they answer as errors."""
        if address.table is None:
            found = await self._schema.list_tables(self.principal, address.kind, Listing())
            return tables.listed(address.kind, found).text
        schema, name = address.table
        table = await self._schema.describe_table(self.principal, address.kind, name, schema=schema)
        return tables.described(address.kind, table).text

    async def completions(self, argument: str, begun: str, given: Mapping[str, str]) -> list[str]:
        """Names that go on from what was begun, in order; one more than a completion holds where there are.

        `given` holds the arguments that are known already. Raises what the tools answer as errors.
        """
        if argument == "database":
            return [str(kind) for kind in self._databases if str(kind).startswith(begun)]
        database = given.get("database", str(self._databases[0]))
        if argument not in {"schema", "table"} or database not in {str(kind) for kind in self._databases}:
            return []
        kind = Kind(database)
        if argument == "schema":
            return list(await self._schema.schema_names(self.principal, kind, begun))
        return list(await self._schema.table_names(self.principal, kind, begun, schema=given.get("schema")))

    async def take_note(self) -> None:
        """Of the schemas as they are, so that whatever comes after this is news."""
        for kind in self._databases:
            await self._schema.version(self.principal, kind)

    async def news(self) -> AsyncIterator[Kind]:
        """Each database whose schema has just changed, by whomever; never ends by itself."""
        async for kind, _ in self._schema.news(self.principal, self._databases):
            yield kind
