"""`agentdb demo`: the whole story on one machine, through the real server, each claim checked."""

from agentdb_mcp.demo.story import run

__all__ = ["run"]
