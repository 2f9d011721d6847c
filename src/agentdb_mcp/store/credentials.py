"""Credentials of databases: kept sealed, opened for whoever connects."""

from dataclasses import replace
from typing import Any, Final

from agentdb_mcp.core.databases import Kind, ManagedDatabase
from agentdb_mcp.core.errors import Misconfigured, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.cipher import KeyRing, Place, is_legacy
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

SEALED_COLUMNS: Final = ("neon_connection_uri", "writer_connection_uri", "reader_connection_uri")

KEYS_LOCK: Final = int.from_bytes(b"agentdbk")
"""Held shared while something is sealed, alone while the keys change."""

_TABLES: Final = {Kind.GLOBAL: "user_global_database", Kind.AGENT: "workspace_database"}


def place_of(database: ManagedDatabase, column: str) -> Place:
    """Where that database's value of that column stands."""
    return Place(_TABLES[database.kind], database.id, column, database.user_id)


def resealed(row: Any, column: str, ring: KeyRing, *, owner: UserId | None = None) -> str | None:
    """The row's value of that column under the current key, for its owner or a new one.

    Raises Misconfigured (`encryption_key_unknown`, `ciphertext_invalid`).
    """
    if row[column] is None:
        return None
    database = database_from(row)
    place = place_of(database, column)
    # Rows copied over from Sim are in its own form. Only here are they read: that form is bound to no place.
    opened = ring.open_legacy(row[column]) if is_legacy(row[column]) else ring.open(row[column], place)
    return ring.seal(opened, place if owner is None else replace(place, owner_id=owner))


async def hold_keys(connection: Connection) -> None:
    """The keys do not change until the transaction ends: what is sealed in it can be opened after it."""
    await connection.execute(query("hold_keys"), KEYS_LOCK)


class Credentials(Facet):
    """Opening what is sealed."""

    async def check_keys(self) -> None:
        """Make the key file of a new home; never one in place of a key that is gone.

        Raises Misconfigured: `encryption_key_missing`, or `encryption_key_malformed` for a file others read.
        """
        if not self._keys.exist() and await self._anything_sealed():
            raise Misconfigured(
                "encryption_key_missing",
                "The key file that connection URIs were sealed with is gone from AGENTDB_HOME.",
                "Restore encryption.key from a backup. If it is lost for good, put a new key there "
                "(openssl rand -hex 32, mode 600) and run `agentdb database mend ID` for each database.",
            )
        self._keys.ring()

    async def _anything_sealed(self) -> bool:
        async with self._control_plane.connection() as connection:
            return bool(await connection.fetchval(query("anything_sealed")))

    async def open_credentials(self, database_id: DatabaseId) -> tuple[ConnectionUri, ConnectionUri]:
        """The writer's and the reader's URI.

        Raises Missing (`database_not_found`, `database_pending`) and Misconfigured (`encryption_key_unknown`,
        `ciphertext_invalid`).
        """
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query("database"), database_id)
        if row is None or row["desired_state"] == "deleted":
            raise Missing("database_not_found", "There is no such database, or it was deleted.")
        if not database_from(row).has_credentials:
            raise Missing(
                "database_pending", "The database is still being prepared.", "Call again in a minute."
            )
        database, ring = database_from(row), self._keys.ring()
        _, writer, reader = (
            None if row[column] is None else ring.open(row[column], place_of(database, column))
            for column in SEALED_COLUMNS
        )
        assert writer is not None
        assert reader is not None
        return writer, reader
