"""Who is calling and which database they reach. Both are made in services/access.py and nowhere else."""

from dataclasses import dataclass

from agentdb_mcp.core.databases import AccessRole, Kind
from agentdb_mcp.core.ids import DatabaseId, TokenId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.tokens import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated agent: always an argument, never a context variable, never a tool's parameter."""

    user_id: UserId
    workspace_id: WorkspaceId


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever showed a valid token over HTTP, and what it was given for."""

    token_id: TokenId
    scopes: frozenset[Scope]
    principal: Principal | None
    """None for a host, which is no agent."""

    @property
    def owner(self) -> object:
        """In whose name things are counted: an agent has one share, however many tokens it shows."""
        return self.principal or self.token_id


@dataclass(frozen=True, slots=True)
class Target:
    """A database one principal may use now, with the credentials of the two roles agents connect as."""

    database_id: DatabaseId
    kind: Kind
    policy: str
    """Name of the policy file that its statements are judged by."""
    writer: ConnectionUri
    reader: ConnectionUri
    address: tuple[str, int] | None = None
    """Host and port of the server now, when the URIs are not to say: an embedded one may move."""

    def uri(self, role: AccessRole) -> ConnectionUri:
        """The credentials of that role."""
        return self.writer if role == "writer" else self.reader
