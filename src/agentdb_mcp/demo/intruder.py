"""A direct attempt past the guard: one tenant's credentials at another tenant's database."""

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Unavailable
