"""`python -m agentdb_mcp` is `agentdb`."""

from agentdb_mcp.cli import main

main()
