"""One step towards what is wanted of a database: which one, and how it is taken at the provider."""

from collections.abc import Mapping

from agentdb_mcp.core.databases import (
    Action,
    DatabaseSpec,
    Desired,
    ManagedDatabase,
    Observed,
    Provisioned,
    plan,
)
from agentdb_mcp.core.errors import Misconfigured, Missing, Unavailable
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.store import Store


def next_action(database: ManagedDatabase) -> Action | None:
    """What is to be done, None when nothing is. A user's own database is never touched: our gate alone
    keeps what is wanted of it.
    """
    if database.ownership_type == "user":
        return None
    return plan(
        database.desired,
        database.observed,
        made=database.project_id is not None,
        has_credentials=database.has_credentials,
        kept=database.kept,
    )


async def take(provider: Provider, spec: DatabaseSpec, database: ManagedDatabase) -> Provisioned | Observed:
    """The next action, and what it made or what is there now."""
    match next_action(database):
        case Action.CREATE:
            return await provider.create(spec)
        case Action.RESUME:
            # Unknown is never trusted: what is gone is made anew, what is there is opened.
            if await provider.observe(spec, database.project_id) is Observed.DELETED:
                return Observed.DELETED
            await provider.resume(spec, _handle(database))
            await provider.tune(spec, _handle(database))
            return Observed.ACTIVE
        case Action.PAUSE:
            return await _pause(provider, spec, database)
        case Action.DELETE:
            await provider.delete(spec, database.project_id)
            return Observed.DELETED
        case None:
            return database.observed


async def _pause(provider: Provider, spec: DatabaseSpec, database: ManagedDatabase) -> Provisioned | Observed:
    """What was deleted there is brought back, or made anew; what is only out of sight stays unknown."""
    handle = _handle(database)
    try:
        await provider.pause(spec, handle)
    except Missing:
        if await provider.observe(spec, handle) is not Observed.DELETED:
            raise
        if database.desired is Desired.DELETED:
            return Observed.DELETED
        if not await provider.reclaim(spec, handle):
            return await provider.create(spec)
        try:
            await provider.pause(spec, handle)
        except Missing:  # it is there in part: what a person took from it is made first
            return await provider.create(spec)
    return Observed.PAUSED


async def check_record(store: Store, database: ManagedDatabase) -> None:
    """A row that was edited by hand may name another database's project: neither is touched until that is
    mended. Raises Misconfigured("project_shared").
    """
    project_id = database.project_id
    if project_id and await store.on_record_of_others(database.id, database.provider, [project_id]):
        raise Misconfigured(
            "project_shared",
            "The rows of two databases name the same project.",
            "docs/how-to/mend.md says how to tell whose it is.",
        )


def _handle(database: ManagedDatabase) -> str:
    if database.project_id is None:
        raise Unavailable(
            "provider_unavailable", "The provider's handle of this database is not recorded yet."
        )
    return database.project_id


def provider_of(providers: Mapping[str, Provider], database: ManagedDatabase) -> Provider:
    """Where that database lies. Raises Misconfigured when this process is not set up for it."""
    try:
        return providers[database.provider]
    except KeyError:
        raise Misconfigured(
            "settings_invalid",
            f"This process is not set up for the provider '{database.provider}' that a database belongs to.",
            "Start with the settings it was made with: AGENTDB_PROVIDER, AGENTDB_CONTROL_URL.",
        ) from None
