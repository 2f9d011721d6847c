"""The reconciler's side: taking a database to work on, and recording what came of it.

A write carries its lease. One that was lost, because it ran out and another worker took the database, writes
nothing and says so by returning False.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agentdb_mcp.core.databases import Desired, Lease, ManagedDatabase, Observed, Provisioned
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.store.connect import Connection
from agentdb_mcp.store.credentials import SEALED_COLUMNS, hold_keys, place_of
from agentdb_mcp.store.databases import database_from
from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

Claim = tuple[ManagedDatabase, Lease]


class Leases(Facet):
    """Claims and records. Each record ends its lease."""

    async def now(self) -> datetime:
        """The control plane's time, which due times are in."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query("now"))

    async def claim_due(self, *, limit: int, seconds: float, due_by: datetime | None = None) -> list[Claim]:
        """Up to `limit` databases that need a step now and that nobody works on, for `seconds`; of those that
        failed before only such as were due by then. A user's own databases are never among them.
        """
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(query("claim_due"), limit, seconds, due_by)
        return [_claim(row) for row in rows]

    async def claim_unseen(self, *, limit: int, seconds: float, unseen_seconds: float) -> list[Claim]:
        """Up to `limit` databases that are as wanted and that nobody looked at for so long, for `seconds`."""
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(query("claim_unseen"), limit, seconds, unseen_seconds)
        return [_claim(row) for row in rows]

    async def claim_one(self, database_id: DatabaseId, *, seconds: float) -> Claim | None:
        """One database, ahead of its time; None when it needs nothing or somebody works on it."""
        return await self._claim_one("claim_one", database_id, seconds)

    async def record_provisioned(
        self, database_id: DatabaseId, provisioned: Provisioned, lease: Lease
    ) -> bool:
        """The provider made it: its handle, its three credentials sealed, observed active, in one statement.

        A database that was deleted meanwhile keeps the handle, to be removed by, and no credentials.
        """
        async with self._control_plane.transaction() as connection:
            await hold_keys(connection)
            row = await connection.fetchrow(query("leased"), database_id, lease.token)
            if row is None:
                return False
            await self._write_provisioned(connection, database_from(row), provisioned)
        return True

    async def record_observed(self, database_id: DatabaseId, observed: Observed, lease: Lease) -> bool:
        """What was seen at the provider. Credentials of a database that is gone are forgotten."""
        return await self._record("record_observed", database_id, lease, observed)

    async def record_unchanged(self, database_id: DatabaseId, lease: Lease) -> bool:
        """It was looked at, and is as it was."""
        return await self._record("record_unchanged", database_id, lease)

    async def doubt(self, database_ids: Sequence[DatabaseId]) -> None:
        """No longer believe what was observed of them, nor what is recorded by whoever works on one now: they
        are due, or will be when that one is done.
        """
        async with self._control_plane.connection() as connection:
            await connection.execute(query("doubt"), list(database_ids))

    async def overdue(self, seconds: float) -> list[DatabaseId]:
        """Databases that need a step and that nobody took up for so long; below 0: also those that somebody
        holds, or that wait, for up to so long from now.
        """
        async with self._control_plane.connection() as connection:
            return [row["id"] for row in await connection.fetch(query("overdue"), seconds)]

    async def record_failure(self, database_id: DatabaseId, code: str, lease: Lease) -> bool:
        """The step failed with that error code; the next try comes later each time, up to 5 minutes."""
        return await self._record("record_failure", database_id, lease, code)

    async def end_waits(self) -> None:
        """What failed before need not wait for its next try any longer."""
        async with self._control_plane.connection() as connection:
            await connection.execute(query("end_waits"))

    async def renew(self, database_id: DatabaseId, lease: Lease, *, seconds: float) -> bool:
        """Hold the lease for so long from now. False: it is another's already."""
        return await self._record("renew", database_id, lease, seconds)

    async def release(self, database_id: DatabaseId, lease: Lease) -> bool:
        """Give the lease back undone."""
        return await self._record("release", database_id, lease)

    async def _claim_one(self, name: str, database_id: DatabaseId, seconds: float) -> Claim | None:
        async with self._control_plane.connection() as connection:
            row = await connection.fetchrow(query(name), database_id, seconds)
        return None if row is None else _claim(row)

    async def _record(self, name: str, database_id: DatabaseId, lease: Lease, *values: Any) -> bool:
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(query(name), database_id, lease.token, *values) is not None

    async def _write_provisioned(
        self, connection: Connection, database: ManagedDatabase, made: Provisioned
    ) -> None:
        await connection.execute(
            query("record_provisioned"),
            database.id,
            made.project_id,
            made.branch_id,
            made.database_name,
            *self._sealed(database, made),
        )

    def _sealed(self, database: ManagedDatabase, provisioned: Provisioned) -> list[str | None]:
        if database.desired is Desired.DELETED:
            return [None] * len(SEALED_COLUMNS)
        ring = self._keys.ring()
        made = provisioned.credentials
        return [
            None if uri is None else ring.seal(uri, place_of(database, column))
            for column, uri in zip(SEALED_COLUMNS, (made.owner, made.writer, made.reader), strict=True)
        ]


def _claim(row: Any) -> Claim:
    return database_from(row), Lease(row["lease_token"], row["lease_expires_at"])
