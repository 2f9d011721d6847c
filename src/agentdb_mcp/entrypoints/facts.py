"""Databases as programs read them: the same words on the command line and over HTTP."""

from typing import TYPE_CHECKING, Any

from agentdb_mcp.core.databases import ManagedDatabase

if TYPE_CHECKING:  # commands that have no use for the services need not load them
    from agentdb_mcp.services.lifecycle import Receipt, Removal


def facts(row: ManagedDatabase) -> dict[str, Any]:
    """A database, what is wanted of it and what was seen."""
    return {
        "id": row.id,
        "kind": row.kind,
        "user": row.user_id,
        "workspace": row.workspace_id,
        "provider": row.provider,
        "wanted": row.desired,
        "observed": row.observed,
        "paused_by": row.paused_by,
        "protected": row.protected,
        "delete_after": None if row.delete_after is None else row.delete_after.isoformat(),
        "last_error": row.last_error,
    }


def facts_of(receipt: "Receipt") -> dict[str, Any]:
    """What a lifecycle call left behind."""
    return {**facts(receipt.database), "pending": receipt.pending, "unhardened": receipt.unhardened}


def facts_of_removal(removal: "Removal") -> dict[str, Any]:
    """What a delete left behind: null for a time means for as long as it is protected."""
    back = {
        each.database_id: None if each.until is None else each.until.isoformat()
        for each in removal.recoverable
    }
    return {"deleted": True, "waiting": removal.waiting, "recoverable_until": back}
