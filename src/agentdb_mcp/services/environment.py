"""A workspace's effective environment: where its databases are, as references, or opened for whoever may."""

from collections.abc import Mapping
from typing import Final

from agentdb_mcp.core.access import Caller, Target
from agentdb_mcp.core.databases import Desired, Kind
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.references import AGENT_DB_URL, GLOBAL_DB_URL
from agentdb_mcp.core.tokens import Scope
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.store import Store

NAMES: Final = {Kind.GLOBAL: "GLOBAL_DB_URL", Kind.AGENT: "AGENT_DB_URL"}
_REFERENCES: Final = {Kind.GLOBAL: GLOBAL_DB_URL, Kind.AGENT: AGENT_DB_URL}


class EnvironmentService:
    """For hosts alone: no agent's token opens this."""

    def __init__(self, store: Store, access: AccessService, trail: Trail) -> None:
        self._store = store
        self._access = access
        self._trail = trail

    async def effective(
        self, workspace_id: WorkspaceId, given: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """What the host has for the workspace, with a reference for each of its databases.

        A reference is what a server of ours is started with; it stands for nothing anywhere else. Values of
        the same name that somebody set are replaced. Raises Missing("workspace_not_found").
        """
        principal = await self._access.authenticate_workspace(workspace_id)
        kept = {name: value for name, value in (given or {}).items() if name not in NAMES.values()}
        for kind, name in NAMES.items():
            row = await self._store.find_database(kind, principal.user_id, workspace_id)
            if row is not None and row.desired is not Desired.DELETED:
                kept[name] = _REFERENCES[kind]
        return kept

    async def revealed(self, workspace_id: WorkspaceId, caller: Caller) -> dict[str, Target]:
        """Each database with the URIs of the agents' roles, for a host that was given the scope `reveal`;
        written down. The owner's URI is never among them.

        Raises Denied("forbidden"), Missing, and what resolving raises: a paused database is not opened for a
        host either.
        """
        if Scope.REVEAL not in caller.scopes:
            raise Denied(
                "forbidden",
                "This token does not open connection URIs.",
                "Use the references; or a token with the scope `reveal`.",
            )
        principal = await self._access.authenticate_workspace(workspace_id)
        opened = dict[str, Target]()
        for kind, name in NAMES.items():
            who = f"host:{caller.token_id}"
            async with self._trail.act("reveal", principal.user_id, actor=who) as entry:
                entry.workspace = workspace_id
                opened[name] = entry.reached(await self._access.resolve(principal, kind))
        return opened
