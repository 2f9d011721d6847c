"""agentdb-mcp: a PostgreSQL database for every LLM agent, reached through MCP."""

__version__ = "0.1.0"
