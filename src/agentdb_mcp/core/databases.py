"""A database as the control plane sees it: what is wanted, what was observed, and what to do about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri


class Kind(StrEnum):
    """Which of an agent's two databases: its own, or the one all of its user's agents share."""

    AGENT = "agent"
    GLOBAL = "global"


class Desired(StrEnum):
    """What is wanted. It follows from the reasons there are for a pause, and is final in a tombstone."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class Observed(StrEnum):
    """What was last seen at the provider. Only the reconciler writes it."""

    UNKNOWN = "unknown"
    """Never asked, or the last answer was lost."""
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class PauseReason(StrEnum):
    """Who wants a database paused. It is paused while anybody does, and each takes back only their own."""

    OPERATOR = "operator"
    BUDGET = "budget"
    ARCHIVED = "archived"
    """Its workspace is."""


class Action(StrEnum):
    """One step at the provider. Every one of them is idempotent."""

    CREATE = "create"
    RESUME = "resume"
    PAUSE = "pause"
    DELETE = "delete"


AccessRole = Literal["writer", "reader"]
"""The two roles agents connect as. The owner is ours and serves no statement of an agent's."""


@dataclass(frozen=True, slots=True)
class ManagedDatabase:
    """One row of `managed_database` without its credentials."""

    id: DatabaseId
    kind: Kind
    user_id: UserId
    workspace_id: WorkspaceId | None
    provider: str
    ownership_type: Literal["platform", "user"]
    project_id: str | None
    """The provider's own handle (Neon: project id; a Postgres server: the database's name)."""
    database_name: str
    desired: Desired
    observed: Observed
    has_credentials: bool
    """Whether the writer's and the reader's URIs are recorded."""
    attempts: int
    last_error: str | None
    """A stable error code, never driver text."""
    paused_by: tuple[PauseReason, ...] = ()
    protected: bool = False
    """It refuses to be deleted; and when its row went all the same, it is kept."""
    delete_after: datetime | None = None
    """Of one that is wanted gone: until then it is kept."""
    kept: bool = False
    """Wanted gone, and for now still at the provider, paused."""

    @property
    def is_over(self) -> bool:
        """Wanted gone, and gone."""
        return self.desired is Desired.DELETED and self.observed is Observed.DELETED


@dataclass(frozen=True, slots=True)
class DatabaseSpec:
    """What a provider needs to make a database. Names derive from the id: creating twice finds the first."""

    id: DatabaseId
    kind: Kind
    plan: str = "free"
    """The owner's plan, where it decides sizes. One the provider does not know is treated as free."""
    project_id: str | None = None
    """The handle of what was made or taken over before, also where it bears another name than ours."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A database that was there before us, and whose it is."""

    user_id: UserId
    workspace_id: WorkspaceId | None
    """None: the user's global database."""
    workspace_name: str
    ownership_type: Literal["platform", "user"]
    provider: str
    project_id: str | None
    """The provider's own handle; None for a user's own."""

    def is_of(self, database: ManagedDatabase) -> bool:
        """Whether that row is this database's, and not another's in its place."""
        same = (database.ownership_type, database.provider) == (self.ownership_type, self.provider)
        return same and self.project_id in {None, database.project_id}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The three URIs of one database. `owner` is None where the owner cannot log in."""

    owner: ConnectionUri | None
    writer: ConnectionUri
    reader: ConnectionUri


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a provider made or adopted."""

    project_id: str
    branch_id: str | None
    database_name: str
    credentials: Credentials
    unhardened: tuple[str, ...] = ()
    """Hardening steps the provider lacked the rights for, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one database until `expires_at`; the token proves it."""

    token: str
    expires_at: datetime


def plan(
    desired: Desired, observed: Observed, *, made: bool, has_credentials: bool, kept: bool = False
) -> Action | None:
    """The next step towards what is wanted, or None when nothing is to be done. Unknown is never trusted.

    `made`: the provider's handle is recorded. What is paused needs no credentials: making them would open it.
    """
    if desired is Desired.DELETED and not kept:
        return None if observed is Observed.DELETED else Action.DELETE
    if desired is Desired.DELETED:
        return None if observed in {Observed.PAUSED, Observed.DELETED} else Action.PAUSE
    if not made:
        return Action.CREATE
    if desired is Desired.PAUSED:
        return None if observed is Observed.PAUSED else Action.PAUSE
    if not has_credentials or observed is Observed.DELETED:
        return Action.CREATE
    return None if observed is Observed.ACTIVE else Action.RESUME
