"""Rows of the control plane as they are after a database was made."""

from agentdb_mcp.core.databases import Credentials, ManagedDatabase, Provisioned
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Store

ADA, BEN = UserId("ada"), UserId("ben")
RESEARCH = WorkspaceId("research")


def provisioned(name: str = "d1", *, owner: bool = False) -> Provisioned:
    """What a provider would say; nothing of it exists."""
    writer, reader, above = (
        ConnectionUri(f"postgresql://{role}_{name}:secret-{role}-{name}@127.0.0.1/{name}") for role in "wro"
    )
    return Provisioned(f"project-{name}", None, name, Credentials(above if owner else None, writer, reader))


async def make(store: Store, database_id: DatabaseId, what: Provisioned | None = None) -> None:
    """Claim a wanted database and record that it was made."""
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    assert await store.record_provisioned(database_id, what or provisioned(), claim[1])


async def active_global(store: Store, user_id: UserId = ADA) -> ManagedDatabase:
    """A registered user's database, made."""
    registration = await store.register_user(user_id, plan=None, provider="local")
    await make(store, registration.database.id, provisioned(f"g-{user_id}"))
    return await found(store, registration.database.id)


async def active_agent(
    store: Store, workspace_id: WorkspaceId = RESEARCH, user_id: UserId = ADA
) -> ManagedDatabase:
    """A workspace's database, made; its user is registered on the way."""
    await store.register_user(user_id, plan=None, provider="local")
    database = await store.create_workspace(workspace_id, user_id, name="", provider="local")
    await make(store, database.id, provisioned(f"a-{workspace_id}"))
    return await found(store, database.id)


async def found(store: Store, database_id: DatabaseId) -> ManagedDatabase:
    """The row, which must be there."""
    database = await store.find_by_id(database_id)
    assert database is not None
    return database
