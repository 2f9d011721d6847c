"""Who is calling, and which database they may reach now. Only here are Principals and Targets made."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from agentdb_mcp.core.access import Caller, Principal, Target
from agentdb_mcp.core.databases import Desired, Kind, ManagedDatabase, PauseReason
from agentdb_mcp.core.errors import Denied, Missing
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.schema import Budget
from agentdb_mcp.core.tokens import TokenText
from agentdb_mcp.store import Changes, Store
from agentdb_mcp.store.tokens import FoundToken

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


MOST_REMEMBERED: Final = 10_000
"""Tokens, and resolutions: of more, the longest unused are looked up again."""

K = TypeVar("K")
V = TypeVar("V")


class _Memory(Generic[K, V]):
    """What was looked up, each with the count of changes at which it was true."""

    def __init__(self) -> None:
        self._known: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def get(self, key: K, version: int | None) -> V | None:
        """None: not known, or not at this count."""
        known = self._known.get(key)
        if known is None or known[0] != version:
            return None
        self._known.move_to_end(key)
        return known[1]

    def put(self, key: K, version: int | None, value: V) -> None:
        """`version` is the count from before the look-up; with None, while none is heard, nothing is kept."""
        if version is None:
            return
        self._known[key] = (version, value)
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


class AccessService:
    """Says who calls and what they reach, from memory while the control plane says that nothing changed.

    `changes` counts every change of any database row or token; while it is connected, what was looked up at
    the same count is still true, and a statement costs no look-up. When it is not connected nothing is
    remembered.
    """

    def __init__(
        self,
        store: Store,
        changes: Changes,
        premises: Premises | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._changes = changes
        self._premises = premises or Premises()
        self._clock = clock
        self._targets: _Memory[tuple[Principal, Kind], Target] = _Memory()
        self._tokens: _Memory[bytes, FoundToken] = _Memory()

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

    async def authenticate_token(self, text: TokenText) -> Caller:
        """Who shows this token. Raises Denied("not_authenticated")."""
        if text.token_id is None:
            raise _not_authenticated("This is no token of this server.")
        digest = text.digest()
        version = self._changes.version
        found = self._tokens.get(digest, version)
        if found is None:
            await self._look_after(version)
            found = await self._store.find_token(digest)
            if found is None:
                raise _not_authenticated("There is no such token, or its workspace was deleted.")
            self._tokens.put(digest, version, found)
        return self._caller(found)

    def _caller(self, found: FoundToken) -> Caller:
        token = found.token
        if token.revoked_at is not None:
            raise _not_authenticated("This token was revoked.")
        if token.expires_at is not None and token.expires_at <= self._clock():
            raise _not_authenticated("This token has expired.")
        if token.workspace_id is None or token.user_id is None:
            return Caller(token.id, token.scopes, None)
        if found.owner != token.user_id:
            raise _not_authenticated("This token's workspace belongs to another user now.")
        return Caller(token.id, token.scopes, Principal(token.user_id, token.workspace_id))

    async def resolve(self, principal: Principal, kind: Kind) -> Target:
        """The database of that kind for this caller; refused while it is paused, pending or gone."""
        version = self._changes.version
        remembered = self._targets.get((principal, kind), version)
        if remembered is not None:
            return remembered
        await self._look_after(version)
        target = await self._resolve(principal, kind)
        self._targets.put((principal, kind), version, target)
        return target

    async def _look_after(self, version: int | None) -> None:
        """While changes are not heard, a server of our own may have died."""
        if version is None and self._premises.ensure is not None:
            await self._premises.ensure()

    async def budget(self, principal: Principal) -> Budget | None:
        """What the caller's user has spent; None when that was never metered."""
        return await self._store.budget(principal.user_id)

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


WHY_PAUSED: Final = {
    PauseReason.ARCHIVED: (
        ": its workspace is archived.",
        "Its data is kept. Work elsewhere, or ask the user to restore the workspace, then call again.",
    ),
    PauseReason.BUDGET: (
        ": the budget of this period is spent.",
        "Its data is kept. Ask the user to raise the limit, or wait for the next period; then call again.",
    ),
    PauseReason.OPERATOR: (
        "; no statement runs on it.",
        "Its data is kept. Ask the user or the operator to resume it, then call again.",
    ),
}
"""What an agent is told, the most telling reason first."""


def _paused(database: ManagedDatabase) -> Denied:
    why, hint = next(said for reason, said in WHY_PAUSED.items() if reason in database.paused_by)
    return Denied("database_paused", f"The {database.kind} database is paused{why}", hint)


def _check_usable(database: ManagedDatabase) -> None:
    if database.desired is Desired.PAUSED:
        raise _paused(database)
    if not database.has_credentials:
        raise Missing(
            "database_pending",
            f"The {database.kind} database is still being prepared.",
            "Call again in a minute.",
        )


def _not_authenticated(why: str) -> Denied:
    return Denied("not_authenticated", why, "Whoever runs this server makes a new one: agentdb token create.")
