"""Changing the key: everything is sealed anew under the current one, in steps that a crash cannot hurt.

The older keys go only when nothing is sealed with them. Whoever seals holds a lock shared from reading the
keys to its commit, and whoever changes the keys holds it alone: no value appears under a key that just went.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.store.cipher import KeyRing, sealed_with
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.credentials import KEYS_LOCK, SEALED_COLUMNS, hold_keys, resealed
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

BATCH: Final = 50
"""Databases sealed anew in one transaction."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did."""

    key_id: str
    """The id of the key that everything is sealed with now."""
    new_key: bool
    """Whether this rotation made that key; else it was set by the operator, or an earlier one was resumed."""
    resealed: int
    """Databases whose credentials were sealed anew."""
    remaining: int
    """Databases still sealed with another key: unreadable ones, and those that older settings made since."""
    unreadable: tuple[DatabaseId, ...]
    """Databases whose credentials no key of ours opens."""
    dropped_keys: int
    """Older keys removed from the key file."""

    def __str__(self) -> str:
        key = f"{'the new ' if self.new_key else ''}key {self.key_id}"
        lines = [f"resealed {self.resealed} database(s) under {key}"]
        if self.dropped_keys:
            lines.append(f"removed {self.dropped_keys} older key(s)")
        lines += [f"could not open the credentials of database {each}" for each in self.unreadable]
        if self.remaining:
            lines.append(
                f"{self.remaining} database(s) are still sealed with another key: keep the older keys"
            )
        return "\n".join(lines)


def _quietly(_done: int) -> None:
    """For callers who need no progress."""


class Rotations(Facet):
    """Re-sealing everything."""

    async def rotate_keys(self, tell: Callable[[int], None] = _quietly) -> Rotation:
        """Seal everything under the current key, a new one where the key file is ours.

        May be killed anywhere and run again, and run by several at once. `tell` hears how many databases
        are done: 0 when the key is there, then after each batch.
        """
        async with self._keys_held_alone():
            new_key = self._keys.begin()
        resealed, unreadable, last = 0, list[DatabaseId](), ""
        tell(resealed)
        while ids := await self._sealed_otherwise(last):
            failed = await self._reseal(ids)
            unreadable += failed
            resealed += len(ids) - len(failed)
            last = ids[-1]
            tell(resealed)
        async with self._keys_held_alone() as connection:
            ring = self._keys.ring()
            remaining = await connection.fetchval(query("count_sealed_otherwise"), _pattern(ring))
            dropped = 0 if remaining else self._keys.finish()
        return Rotation(ring.current_id, new_key, resealed, remaining, tuple(unreadable), dropped)

    @asynccontextmanager
    async def _keys_held_alone(self) -> AsyncGenerator[Connection]:
        async with self._control_plane.transaction() as connection:
            await connection.execute(query("change_keys"), KEYS_LOCK)
            yield connection

    async def _sealed_otherwise(self, last: str) -> list[str]:
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(query("sealed_otherwise"), _pattern(self._keys.ring()), last, BATCH)
        return [row["id"] for row in rows]

    async def _reseal(self, ids: list[str]) -> list[DatabaseId]:
        """Seal these anew in one transaction; those that no key of ours opens."""
        failed: list[DatabaseId] = []
        async with self._control_plane.transaction() as connection:
            await hold_keys(connection)
            ring = self._keys.ring()
            for row in await connection.fetch(query("hold_databases"), ids):
                try:
                    values = [resealed(row, column, ring) for column in SEALED_COLUMNS]
                except Misconfigured:
                    failed.append(DatabaseId(row["id"]))
                else:
                    await connection.execute(query("reseal"), row["id"], *values)
        return failed


def _pattern(ring: KeyRing) -> str:
    return sealed_with(ring.current_id) + "%"
