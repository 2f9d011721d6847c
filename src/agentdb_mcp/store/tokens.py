"""Bearer tokens as rows, found by the hash of their text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agentdb_mcp.core.ids import TokenId, UserId, WorkspaceId
from agentdb_mcp.core.tokens import Scope
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A row of `access_token`, without the hash."""

    id: TokenId
    user_id: UserId | None
    workspace_id: WorkspaceId | None
    """None for a host's."""
    scopes: frozenset[Scope]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundToken:
    """A token, and whose its workspace is now."""

    token: AccessToken
    owner: UserId | None


def _token_from(row: Any) -> AccessToken:
    return AccessToken(
        id=TokenId(row["id"]),
        user_id=row["user_id"],
        workspace_id=row["workspace_id"],
        scopes=frozenset(map(Scope, row["scopes"])),
        label=row["label"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


class Tokens(Facet):
    """Giving tokens out, finding and revoking them."""

    async def add_agent_token(
        self,
        token_id: TokenId,
        digest: bytes,
        workspace_id: WorkspaceId,
        *,
        label: str,
        expires_at: datetime | None,
    ) -> AccessToken | None:
        """For the workspace's owner of now. None: there is no such workspace."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(
                query("add_agent_token"), token_id, digest, workspace_id, label, expires_at
            )
        return None if row is None else _token_from(row)

    async def add_host_token(
        self,
        token_id: TokenId,
        digest: bytes,
        scopes: Sequence[Scope],
        *,
        label: str,
        expires_at: datetime | None,
    ) -> AccessToken:
        """One without a workspace."""
        async with self._control_plane.connection() as connection:
            return _token_from(
                await connection.fetchrow(
                    query("add_host_token"), token_id, digest, list(scopes), label, expires_at
                )
            )

    async def find_token(self, digest: bytes) -> FoundToken | None:
        """Also one that is no longer valid."""
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("token"), digest)
        return None if row is None else FoundToken(_token_from(row), row["owner_id"])

    async def list_tokens(self, workspace_id: WorkspaceId | None) -> list[AccessToken]:
        """Oldest first, those that are no longer valid included; of one workspace when named."""
        async with self._control_plane.connection() as connection:
            return [_token_from(row) for row in await connection.fetch(query("tokens"), workspace_id)]

    async def revoke_token(self, token_id: TokenId) -> bool:
        """For good. False: there is none."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("revoke_token"), token_id) is not None
