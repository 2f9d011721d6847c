"""What hosts say about users and workspaces, recorded as what is wanted and then carried out.

Every call is idempotent: twice, or twice at once, is once.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agentdb_mcp.core.databases import Desired, ManagedDatabase, Observed, PauseReason
from agentdb_mcp.core.errors import AgentDbError, Invalid, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.services.audit import OPERATOR, Trail
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.recorded import recorded
from agentdb_mcp.store import Store

PLANS = ("free", "pro", "team", "enterprise")
MAX_ID = 200

CARRY_OUT_SECONDS: Final = 60.0
"""How long a call about many databases carries out what it recorded: whoever asked has a time-out too."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a lifecycle call left behind."""

    database: ManagedDatabase
    pending: str | None = None
    """None when the database is as wanted; else the code of what stands in the way for now."""
    unhardened: tuple[str, ...] = ()
    """What the provider lacked the rights to harden, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Recoverable:
    """A deleted database that `undelete` brings back with its data."""

    database_id: DatabaseId
    until: datetime | None
    """None: for as long as it is protected."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What a delete left behind."""

    waiting: int
    """Databases that the provider could not yet do anything about."""
    recoverable: tuple[Recoverable, ...] = ()


class LifecycleService:
    """Registration, workspaces, pauses and deletes."""

    def __init__(
        self,
        store: Store,
        reconciler: Reconciler,
        *,
        provider: str,
        trail: Trail | None = None,
        actor: str = OPERATOR,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._provider = provider
        self.trail = trail
        """Where acts are recorded; None: nowhere."""
        self.actor = actor
        """Who is said there to act."""

    def acting_as(self, actor: str) -> "LifecycleService":
        """The same for somebody else, e.g. a host with a token."""
        return LifecycleService(
            self._store, self._reconciler, provider=self._provider, trail=self.trail, actor=actor
        )

    @recorded
    async def register_user(self, user_id: UserId, *, plan: str | None = None) -> Receipt:
        """The user's global database and budget row. Fails loudly, and then leaves nothing behind that bills.

        A plan given here is recorded in `subscription`; None keeps what the host has there.
        """
        check_id("user", user_id)
        if plan is not None:
            _check_plan(plan)
        registration = await self._store.register_user(user_id, plan=plan, provider=self._provider)
        try:
            settled = await self._reconciler.settle(registration.database.id)
        except AgentDbError:
            await self._store.withdraw_registration(registration)
            raise
        return Receipt(_still_wanted(settled.database), unhardened=settled.unhardened)

    @recorded
    async def change_plan(self, user_id: UserId, plan: str) -> int:
        """Record the plan, and fit the user's databases to it. Returns how many still wait for that.

        Raises Missing("user_not_found"). Databases of users' own are left as they are.
        """
        check_id("user", user_id)
        _check_plan(plan)
        return await self._carry_out(await self._store.change_plan(user_id, plan))

    @recorded
    async def create_workspace(
        self, workspace_id: WorkspaceId, user_id: UserId, *, name: str = ""
    ) -> Receipt:
        """The workspace's agent database. When the provider cannot make it now it stays pending."""
        check_id("workspace", workspace_id)
        check_id("user", user_id)
        if not await self._store.user_exists(user_id):
            raise Missing(
                "user_not_found", "There is no such user.", "Register the user first: agentdb user create ID."
            )
        database = await self._store.create_workspace(
            workspace_id, user_id, name=name, provider=self._provider
        )
        return await self._settled(database.id)

    @recorded
    async def delete_workspace(self, workspace_id: WorkspaceId, user_id: UserId) -> Removal:
        """Tombstone first, then delete at the provider, at once or after the grace period.

        Raises Denied (`forbidden`, `database_protected`).
        """
        check_id("workspace", workspace_id)
        check_id("user", user_id)
        return await self._removed(await self._store.delete_workspace(workspace_id, user_id))

    @recorded
    async def delete_user(self, user_id: UserId) -> Removal:
        """The user's workspaces, then the user; nothing where it raises Denied("database_protected")."""
        check_id("user", user_id)
        return await self._removed(await self._store.delete_user(user_id))

    @recorded
    async def archive_workspace(self, workspace_id: WorkspaceId, user_id: UserId) -> Receipt:
        """Pause the workspace's database until the workspace is restored, whatever else pauses it."""
        return await self._archive(workspace_id, user_id, archived=True)

    @recorded
    async def restore_workspace(self, workspace_id: WorkspaceId, user_id: UserId) -> Receipt:
        """Undo an archiving. What an operator or a budget paused stays paused."""
        return await self._archive(workspace_id, user_id, archived=False)

    @recorded
    async def transfer_workspace(self, workspace_id: WorkspaceId, giver: UserId, taker: UserId) -> Receipt:
        """Give a workspace and its database to another user, whose plan then holds for it.

        Servers that run for the giver lose both databases at once. What the database has cost in the current
        period goes along with it. Raises Missing("user_not_found") when the taker is not registered.
        """
        check_id("workspace", workspace_id)
        for user_id in (giver, taker):
            check_id("user", user_id)
        database = await self._store.transfer_workspace(workspace_id, giver, taker)
        return await self._settled(database.id)

    @recorded
    async def pause(self, database_id: DatabaseId, reason: PauseReason = PauseReason.OPERATOR) -> Receipt:
        """Pause one database, for one more reason. The gate closes before the provider is told."""
        return await self._paused_or_not(await self._store.pause(database_id, reason))

    @recorded
    async def resume(self, database_id: DatabaseId, reason: PauseReason = PauseReason.OPERATOR) -> Receipt:
        """Take one reason for a pause back. While there are others the database stays paused.

        What an operator resumes is looked at again, also where it was not paused: somebody may have shut it
        at the provider.
        """
        database = await self._store.resume(database_id, reason)
        if database is not None and reason is PauseReason.OPERATOR:
            await self._store.doubt([database_id])
        return await self._paused_or_not(database)

    @recorded
    async def mend(self, database_id: DatabaseId) -> Receipt:
        """Have the provider go over a database's roles and rights again, and make its credentials anew.

        Its data is kept. For credentials that open nothing, and after an upgrade that hardens more.
        """
        if not await self._store.forget_credentials(database_id):
            raise Missing(
                "database_not_found",
                "There is no such database of ours.",
                "List them: agentdb database list.",
            )
        return await self._settled(database_id)

    @recorded
    async def undelete(self, database_id: DatabaseId) -> Receipt:
        """Bring a deleted database back, with its data, new credentials, and its workspace's or user's row.

        Within the grace period, and at Neon for 7 days after it. A plan or a workspace's name that went with
        the row is not brought back. Raises Missing (`database_not_found`, `user_not_found`), and
        Denied("forbidden") when there is another database in its place.
        """
        await self._reconciler.graves.bring_back(database_id)
        return await self._settled(database_id)

    @recorded
    async def protect(self, database_id: DatabaseId) -> ManagedDatabase:
        """Have a database refuse to be deleted. A host's own DELETE then only pauses it."""
        return await self._protect(database_id, protected=True)

    @recorded
    async def unprotect(self, database_id: DatabaseId) -> ManagedDatabase:
        """Let a database be deleted again; one that is deleted already is kept for the grace from now on."""
        return await self._protect(database_id, protected=False)

    async def databases(self, user_id: UserId | None = None) -> list[ManagedDatabase]:
        """Every database there is a row for, deleted ones included; of one user when named."""
        return await self._store.list_databases(user_id)

    async def _archive(self, workspace_id: WorkspaceId, user_id: UserId, *, archived: bool) -> Receipt:
        check_id("workspace", workspace_id)
        check_id("user", user_id)
        database = await self._store.archive_workspace(workspace_id, user_id, archived=archived)
        return await self._settled(database.id)

    async def _paused_or_not(self, database: ManagedDatabase | None) -> Receipt:
        if database is None:
            raise _no_database()
        return await self._settled(database.id)

    async def _settled(self, database_id: DatabaseId) -> Receipt:
        try:
            settled = await self._reconciler.settle(database_id)
        except AgentDbError as error:
            return Receipt(_still_wanted(await self._store.find_by_id(database_id)), error.code)
        return Receipt(_still_wanted(settled.database), unhardened=settled.unhardened)

    async def _protect(self, database_id: DatabaseId, *, protected: bool) -> ManagedDatabase:
        database = await self._store.protect(database_id, protected=protected)
        if database is None:
            raise _no_database()
        return database

    async def _removed(self, database_ids: list[DatabaseId]) -> Removal:
        waiting = await self._carry_out(database_ids)
        now = await self._store.now()
        rows = [await self._store.find_by_id(each) for each in database_ids]
        return Removal(
            waiting, tuple(found for row in rows if row and (found := self._recoverable(row, now)))
        )

    def _recoverable(self, row: ManagedDatabase, now: datetime) -> Recoverable | None:
        longer = self._reconciler.graves.recoverable_for(row)
        if row.kept:
            until = None if row.protected or row.delete_after is None else row.delete_after + longer
            return Recoverable(row.id, until)
        if row.observed is Observed.DELETED and row.project_id is not None and longer:
            return Recoverable(row.id, now + longer)
        return None

    async def _carry_out(self, database_ids: list[DatabaseId]) -> int:
        """How many are left to the workers."""
        clock, waiting = asyncio.get_running_loop().time, 0
        deadline = clock() + CARRY_OUT_SECONDS
        for database_id in database_ids:
            try:
                await self._reconciler.settle(database_id, timeout=deadline - clock())
            except AgentDbError:
                waiting += 1
        return waiting


def _no_database() -> Missing:
    return Missing("database_not_found", "There is no such database.", "List them: agentdb database list.")


def _still_wanted(database: ManagedDatabase | None) -> ManagedDatabase:
    if database is None or database.desired is Desired.DELETED:
        raise Missing("database_not_found", "The database was deleted meanwhile.")
    return database


def _check_plan(plan: str) -> None:
    if plan not in PLANS:
        raise Invalid("bad_argument", f"There is no plan '{plan[:40]}'.", f"Plans are: {', '.join(PLANS)}.")


def check_id(what: str, value: str) -> None:
    """Raises Invalid("bad_argument") for an id that no host of ours has."""
    if not value or len(value) > MAX_ID or not value.isprintable():
        raise Invalid(
            "bad_argument",
            f"A {what} id is 1 to {MAX_ID} printable characters.",
            "Use the host's own id for it.",
        )
