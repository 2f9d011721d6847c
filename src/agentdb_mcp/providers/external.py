"""Databases of users' own: somebody else's PostgreSQL, of which we only make the agents' roles."""

from typing import Final

from agentdb_mcp.core.databases import DatabaseSpec, Provisioned
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.neon_roles import furnish

NAME: Final = "external"
"""The value stored in `managed_database.provider`. The reconciler never touches what is a user's own."""


async def adopt(owner: ConnectionUri, spec: DatabaseSpec) -> Provisioned:
    """Make or mend the writer and the reader as that role, which must be allowed to make roles.

    Raises Unavailable and Misconfigured, in our own words.
    """
    made = await furnish(owner, spec)
    return Provisioned(made.database, None, made.database, made.credentials, made.unhardened)
