"""Bearer tokens: a text that is shown once, and the hash of it that is kept."""

import hashlib
import re
from enum import StrEnum
from typing import Final, Self, final

from agentdb_mcp.core.ids import TokenId
from agentdb_mcp.core.secrets import Masked

_FORM: Final = re.compile(r"adb_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


class Scope(StrEnum):
    """What a token is good for."""

    AGENT = "agent"
    """The tools of one workspace."""
    LIFECYCLE = "lifecycle"
    """A host's calls about its users and workspaces."""
    REVEAL = "reveal"
    """A host's look at connection URIs."""


HOST_SCOPES: Final = (Scope.LIFECYCLE, Scope.REVEAL)


@final
class TokenText(Masked):
    """`adb_<id>_<secret>`: the prefix lets scanners of leaked secrets find it, the id names it in logs."""

    __slots__ = ()

    mask = "adb_***"

    @classmethod
    def of(cls, token_id: TokenId, secret: str) -> Self:
        """A new one. The secret is base64url text of 256 random bits."""
        return cls(f"adb_{token_id}_{secret}")

    @property
    def token_id(self) -> TokenId | None:
        """Its part that is no secret; None for what cannot be a token, which need not be looked up."""
        found = _FORM.fullmatch(self.reveal())
        return None if found is None else TokenId(found[1])

    def digest(self) -> bytes:
        """What it is found by. Looking up a hash tells nobody how much of a guess was right."""
        return hashlib.sha256(self.reveal().encode()).digest()
