"""Where databases come from. Three implementations ship: embedded, a server of one's own, Neon."""

from typing import Protocol

from agentdb_mcp.core.databases import DatabaseSpec, Observed, Provisioned


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

    async def delete(self, spec: DatabaseSpec, project_id: str | None) -> None:
        """Remove the database and its roles. Nothing there is success."""
        ...

    async def observe(self, spec: DatabaseSpec, project_id: str | None) -> Observed:
        """What is there now."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
