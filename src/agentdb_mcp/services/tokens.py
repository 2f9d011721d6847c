"""Bearer tokens: given out, listed, revoked. Whether one is valid is for services/access.py to say."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agentdb_mcp.core.errors import Invalid, Missing
from agentdb_mcp.core.ids import TokenId, WorkspaceId
from agentdb_mcp.core.tokens import HOST_SCOPES, Scope, TokenText
from agentdb_mcp.services.audit import OPERATOR, Trail
from agentdb_mcp.services.recorded import recorded
from agentdb_mcp.store import Store
from agentdb_mcp.store.tokens import AccessToken

LIFETIME: Final = timedelta(days=90)
"""Of a token whose lifetime nobody chose."""

LONGEST_LABEL: Final = 200


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, and its text, which nobody can ever show again."""

    token: AccessToken
    text: TokenText


class TokenService:
    """What operators and hosts do with tokens."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        trail: Trail | None = None,
        actor: str = OPERATOR,
    ) -> None:
        self._store = store
        self._clock = clock
        self.trail = trail
        """Where acts are recorded; None: nowhere."""
        self.actor = actor
        """Who is said there to act."""

    def acting_as(self, actor: str) -> "TokenService":
        """The same for somebody else, e.g. a host with a token."""
        return TokenService(self._store, self._clock, trail=self.trail, actor=actor)

    @recorded
    async def create_for_agent(
        self, workspace_id: WorkspaceId, *, lifetime: timedelta | None = LIFETIME, label: str = ""
    ) -> NewToken:
        """For the agent of one workspace. A lifetime of None: until it is revoked.

        Raises Missing("workspace_not_found").
        """
        text, token_id = _random_text()
        token = await self._store.add_agent_token(
            token_id, text.digest(), workspace_id, label=_checked(label), expires_at=self._until(lifetime)
        )
        if token is None:
            raise Missing("workspace_not_found", "There is no such workspace.", "Create it first.")
        return NewToken(token, text)

    @recorded
    async def create_for_host(
        self, scopes: Sequence[Scope], *, lifetime: timedelta | None = LIFETIME, label: str = ""
    ) -> NewToken:
        """For a host's own calls: `lifecycle`, `reveal` or both."""
        if not scopes or not set(scopes) <= set(HOST_SCOPES):
            raise Invalid(
                "bad_argument",
                f"A host's token is for {' or '.join(HOST_SCOPES)}.",
                "An agent's is made for a workspace instead.",
            )
        text, token_id = _random_text()
        token = await self._store.add_host_token(
            token_id,
            text.digest(),
            sorted(set(scopes)),
            label=_checked(label),
            expires_at=self._until(lifetime),
        )
        return NewToken(token, text)

    async def tokens(self, workspace_id: WorkspaceId | None = None) -> list[AccessToken]:
        """Every token there is a row for; of one workspace when named."""
        return await self._store.list_tokens(workspace_id)

    @recorded
    async def revoke(self, token_id: TokenId) -> None:
        """Refuses it from now on, at every server that hears the control plane. Twice is once.

        Raises Missing("token_not_found").
        """
        if not await self._store.revoke_token(token_id):
            raise Missing(
                "token_not_found", "There is no such token.", "`agentdb token list` shows their ids."
            )

    def state_of(self, token: AccessToken) -> str:
        """`valid`, `expired` or `revoked`."""
        if token.revoked_at is not None:
            return "revoked"
        return "valid" if token.expires_at is None or token.expires_at > self._clock() else "expired"

    def _until(self, lifetime: timedelta | None) -> datetime | None:
        if lifetime is None:
            return None
        try:
            return self._clock() + lifetime
        except OverflowError:
            raise Invalid("bad_argument", "That is longer than a calendar goes.", "Ask for less.") from None


def _random_text() -> tuple[TokenText, TokenId]:
    token_id = TokenId(secrets.token_hex(8))
    return TokenText.of(token_id, secrets.token_urlsafe(32)), token_id


def _checked(label: str) -> str:
    if len(label) > LONGEST_LABEL:
        raise Invalid("bad_argument", f"A label has at most {LONGEST_LABEL} characters.", "Shorten it.")
    return label
