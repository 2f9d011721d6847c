"""Does PostgreSQL let someone in? The demo's proof that the wall stands without the guard."""

import asyncpg

from agentdb_mcp.execution.endpoints import Endpoint
from agentdb_mcp.execution.failures import sqlstate


async def refusal(endpoint: Endpoint) -> str | None:
    """The SQLSTATE and its name when PostgreSQL refuses the connection; None when it lets it in."""
    try:
        connection = await asyncpg.connect(**endpoint.connect_arguments())
    except asyncpg.PostgresError as error:
        return f"{sqlstate(error)} {type(error).__name__}"
    await connection.close()
    return None
