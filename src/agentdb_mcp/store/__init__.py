"""The control plane's Postgres."""

from agentdb_mcp.store.changes import Changes
from agentdb_mcp.store.hosts import Registration
from agentdb_mcp.store.keys import Keys, open_keys
from agentdb_mcp.store.rotation import Rotation
from agentdb_mcp.store.store import Store

__all__ = ["Changes", "Keys", "Registration", "Rotation", "Store", "open_keys"]
