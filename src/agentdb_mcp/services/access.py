"""Who is calling, and which database they may reach now. Only here are Principals and Targets made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Desired, Kind, ManagedDatabase
from agentdb_mcp.core.errors import Denied, Missing
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.store import Changes, Store

POLICY_OF = {Kind.AGENT: "agent", Kind.GLOBAL: "global"}
"""Which policy file judges the statements on which database."""


Address = Callable[[], tuple[str, int]]
"""Asked each time: host and port."""


@dataclass(frozen=True, slots=True)
class Premises:
    """The server this process runs on, where that is its own to look after."""

    addresses: Mapping[str, Address] = field(default_factory=dict[str, Address])
    """Provider -> where its server is now. An embedded one may come back on another port."""
    ensure: Callable[[], Awaitable[None]] | None = None
    """Brings the server back if it died."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    version: int
    target: Target


class AccessService:
    """Resolves a caller to a database, from memory while the control plane says that nothing changed.

    `changes` counts every change of any database row; while it is connected, a resolution made at the same
    count is still true, and a statement costs no look-up. When it is not connected nothing is remembered.
    """

    def __init__(self, store: Store, changes: Changes, premises: Premises | None = None) -> None:
        self._store = store
        self._changes = changes
        self._premises = premises or Premises()
        self._memory: dict[tuple[Principal, Kind], _Remembered] = {}

    async def authenticate_workspace(self, workspace_id: WorkspaceId) -> Principal:
        """The principal of a server started for one workspace.

        Here the credential is the process itself: whoever may start it holds the control plane's settings.
        """
        owner = await self._store.workspace_owner(workspace_id)
        if owner is None:
            raise Missing(
                "workspace_not_found",
                "There is no such workspace.",
                "Create it first: agentdb workspace create ID --user USER.",
            )
        return Principal(owner, workspace_id)

    async def resolve(self, principal: Principal, kind: Kind) -> Target:
        """The database of that kind for this caller; refused while it is paused, pending or gone."""
        version = self._changes.version
        remembered = self._memory.get((principal, kind))
        if remembered is not None and remembered.version == version:
            return remembered.target
        if version is None and self._premises.ensure is not None:
            await self._premises.ensure()
        target = await self._resolve(principal, kind)
        if version is not None:
            self._memory[principal, kind] = _Remembered(version, target)
        return target

    async def _resolve(self, principal: Principal, kind: Kind) -> Target:
        if await self._store.workspace_owner(principal.workspace_id) != principal.user_id:
            raise Denied(
                "forbidden",
                "This workspace no longer belongs to the user this server was started for.",
                "Ask the host to start the server anew.",
            )
        database = await self._store.find_database(kind, principal.user_id, principal.workspace_id)
        if database is None:
            raise Missing(
                "database_not_found",
                f"The {kind} database does not exist.",
                "It was deleted, or the host never asked for it.",
            )
        _check_usable(database)
        writer, reader = await self._store.open_credentials(database.id)
        address = self._premises.addresses.get(database.provider)
        where = None if address is None else address()
        return Target(database.id, kind, POLICY_OF[kind], writer, reader, where)


def _check_usable(database: ManagedDatabase) -> None:
    if database.desired is Desired.PAUSED:
        raise Denied(
            "database_paused",
            f"The {database.kind} database is paused; no statement runs on it.",
            "Its data is kept. Ask the user or the operator to resume it, then call again.",
        )
    if not database.has_credentials:
        raise Missing(
            "database_pending",
            f"The {database.kind} database is still being prepared.",
            "Call again in a minute.",
        )
