"""Numbers for what a database's tables look like: known at no cost, moved by whoever sees a change.

docs/adr/0012-schema-versions.md says why.
"""

from typing import Final

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import AgentDbError, Invalid, Unavailable
from agentdb_mcp.core.shapes import NO_SHAPE, SchemaHistory, SeenSchema, differences, encoded
from agentdb_mcp.execution.shapes import Shapes
from agentdb_mcp.store import Changes, Store

_ATTEMPTS: Final = 3


class Versions:
    """Schema versions, as far as this server's listening connection to the control plane tells them."""

    def __init__(self, store: Store, changes: Changes, shapes: Shapes) -> None:
        self._store = store
        self._changes = changes
        self._shapes = shapes

    async def known(self, target: Target) -> int | None:
        """The latest version that anybody has seen, from memory; the first time, from the control plane.

        None while changes are not heard: it could be an old one.
        """
        seen = self._changes.schema(target.database_id)
        if seen is None:
            if self._changes.version is None:
                return None
            seen = await self._ask(target)
        return seen.version

    async def look(self, target: Target) -> int | None:
        """The version of what the tables look like now; a new one when they have changed.

        One round trip to the database when they have not. None when it cannot be told now, for whatever
        reason: no call fails for want of a version.
        """
        try:
            return await self._look(target)
        except AgentDbError:
            return None

    async def since(self, target: Target, version: int) -> SchemaHistory:
        """What changed since a version, after a look.

        Raises Invalid("bad_argument") for a version that there has not been.
        """
        present = await self._look(target)
        if not 0 <= version <= present:
            raise Invalid(
                "bad_argument",
                f"There is no schema version {version}; the latest is {present}.",
                "Send one that a result came with.",
            )
        changes = await self._store.schema_changes(target.database_id, version)
        return SchemaHistory(version, present, changes, complete=len(changes) >= present - version)

    @property
    def count(self) -> int:
        """Moves whenever a version that was asked for may have moved."""
        return self._changes.schema_count

    async def wait(self, count: int) -> None:
        """Until it moved from that count."""
        await self._changes.wait_for_schemas(count)

    async def _ask(self, target: Target) -> SeenSchema:
        self._changes.follow_schema(target.database_id)
        found = await self._store.seen_schema(target.database_id)
        self._changes.found_schema(target.database_id, found)
        return found

    async def _look(self, target: Target) -> int:
        """Records only what was seen after the version it is compared with, while that is the latest."""
        seen = self._changes.schema(target.database_id) or await self._ask(target)
        for _ in range(_ATTEMPTS):
            now = await self._shapes.shape(target, unless=seen.mark)
            if now is None:
                return seen.version
            version, before = await self._store.latest_shape(target.database_id) or (0, NO_SHAPE)
            changes = encoded(differences(before, now))
            if version == seen.version and await self._store.record_shape(
                target.database_id, version, now, changes
            ):
                self._changes.found_schema(target.database_id, SeenSchema(version + 1, now.mark))
                return version + 1
            seen = SeenSchema(version, before.mark)
            self._changes.found_schema(target.database_id, seen)
        raise Unavailable(
            "control_plane_unavailable", "The schema changes faster than it can be followed.", "Try again."
        )
