"""Where databases come from. Three implementations ship: embedded, a server of one's own, Neon."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from agentdb_mcp.core.databases import DatabaseSpec, Observed, Provisioned
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Owned:
    """Something at the provider that this installation made, whoever still knows of it."""

    project_id: str
    database_id: DatabaseId
    """The database it was made for, as its name says."""
    marked: bool = False
    """We began to delete it."""
    created_at: datetime | None = None
    """None: the provider does not say."""


@dataclass(frozen=True, slots=True)
class Census:
    """Everything that is ours. Not complete: what is missing proves nothing."""

    owned: tuple[Owned, ...]
    complete: bool


OnRecord = Callable[[DatabaseId, str, Sequence[str]], Awaitable[Collection[str]]]
"""Which of these projects of a provider's the control plane has on record for another than that database."""


class Provider(Protocol):
    """Every call is idempotent and safe to repeat after a crash or an unknown outcome.

    Calls raise `Unavailable("provider_unavailable")` when the provider cannot be reached and
    `Misconfigured` when the operator must act; driver errors never pass. Pausing or resuming what is not
    there raises `Missing("database_not_found")`.
    """

    @property
    def name(self) -> str:
        """The value stored in `managed_database.provider`."""
        ...

    @property
    def recoverable_for(self) -> timedelta:
        """How long after a delete `reclaim` brings the database back; 0: not at all."""
        ...

    async def create(self, spec: DatabaseSpec) -> Provisioned:
        """Make the database and its roles, or adopt and repair what an interrupted call left.

        Credentials are fresh on every call: earlier ones stop working.
        """
        ...

    async def pause(self, spec: DatabaseSpec, project_id: str) -> None:
        """Refuse new connections of the agent's roles and end the ones there are."""
        ...

    async def resume(self, spec: DatabaseSpec, project_id: str) -> None:
        """Undo a pause."""
        ...

    async def tune(self, spec: DatabaseSpec, project_id: str) -> None:
        """Fit the database to its owner's plan, open or paused as it is."""
        ...

    async def delete(self, spec: DatabaseSpec, project_id: str | None) -> None:
        """Remove the database and its roles. Nothing there is success."""
        ...

    async def reclaim(self, spec: DatabaseSpec, project_id: str) -> bool:
        """Bring back, with its data and under its name, what somebody deleted or we had begun to delete.

        False: it is gone. Raises Missing where the provider cannot tell. `create` opens what is there.
        """
        ...

    async def usage(self, spec: DatabaseSpec, project_id: str) -> Usage:
        """What it uses, open or paused as it is; asking wakes nothing.

        Raises Missing when it is gone: the provider does not tell it any more.
        """
        ...

    async def observe(self, spec: DatabaseSpec, project_id: str | None) -> Observed:
        """What is there now."""
        ...

    async def census(self) -> Census:
        """Everything this installation made that is still there, for the search for orphans both ways."""
        ...

    async def discard(self, owned: Owned) -> None:
        """Delete one thing of a census, and nothing else. Whoever asks has made sure that nobody wants it."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
