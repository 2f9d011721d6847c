"""Errors as callers are told them: a caller is mostly not the one who runs the server."""

from typing import Any

from agentdb_mcp.core.errors import AgentDbError, Misconfigured
from agentdb_mcp.core.invisible import written


def as_told(error: AgentDbError) -> dict[str, Any]:
    """The wire form, with a hint that its reader can follow. The operator's own programs say it as it is."""
    body = error.as_dict()
    if isinstance(error, Misconfigured):
        body["hint"] = f"Tell whoever runs this server. {error.hint}".strip()
    if error.code == "control_plane_unavailable":
        body["hint"] = "Try again in a minute. If it stays so, tell whoever runs this server."
    return body


def in_words(told: dict[str, Any]) -> str:
    """Message and hint of that in the one text a protocol has room for, which a model may read."""
    return written(f"{told['message']} {told.get('hint', '')}".strip())
