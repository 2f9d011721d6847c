"""The one place where secrets are put into answers: for a host, which asked for just that."""

from collections.abc import Mapping
from typing import Any

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.services.tokens import NewToken


def revealed(targets: Mapping[str, Target]) -> dict[str, str]:
    """The writer's URI of each, at the address where the server is now."""
    return {name: dsn.moved(target.writer.reveal(), target.address) for name, target in targets.items()}


def shown(made: NewToken) -> dict[str, Any]:
    """A new token with its text, which nobody is shown again."""
    token = made.token
    return {
        "id": token.id,
        "token": made.text.reveal(),
        "workspace": token.workspace_id,
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }
