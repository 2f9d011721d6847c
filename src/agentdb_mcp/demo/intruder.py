"""A direct attempt past the guard: one tenant's credentials at another tenant's database."""

from dataclasses import replace

from agentdb_mcp.core.access import Target
from agentdb_mcp.execution.endpoints import parse_endpoint
from agentdb_mcp.execution.probe import refusal


async def refused_entry(intruder: Target, victim: Target) -> str | None:
    """PostgreSQL's refusal of the intruder's writer at the victim's database; None when it got in."""
    own = parse_endpoint(intruder.writer.reveal())
    theirs = parse_endpoint(victim.writer.reveal())
    return await refusal(replace(theirs, user=own.user, password=own.password))
