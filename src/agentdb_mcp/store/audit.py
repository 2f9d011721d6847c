"""The audit trail: appended and pruned by functions of the database's own, read chain by chain."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, LiteralString, cast

from agentdb_mcp import assets
from agentdb_mcp.core.audit import Chain, Link, Record
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.connect import Connection, ControlPlane
from agentdb_mcp.store.facet import Facet

_FILE: Final = Path(__file__).with_name("audit.sql")
_OWNER_FILE: Final = Path(__file__).with_name("audit_owner.sql")

PAGE: Final = 2_000
"""Records that are read at once."""


def _query(name: str) -> LiteralString:
    return assets.statements(_FILE)[name]


@dataclass(frozen=True, slots=True)
class AuditReading:
    """The trail in one state, for as long as it is read."""

    _connection: Connection

    async def chains(self, tenant: str | None = None) -> list[tuple[int, Chain]]:
        """Each with its number: all there are, or that of one tenant."""
        return [(row["id"], _chain(row)) for row in await self._connection.fetch(_query("chains"), tenant)]

    async def links(self, chain_id: int, tenant: str, since: datetime | None = None) -> AsyncGenerator[Link]:
        """The records of a chain in order, a page at a time."""
        seq = 0
        while rows := await self._connection.fetch(_query("records"), chain_id, seq, since, PAGE):
            for row in rows:
                yield _link(tenant, row)
            seq = rows[-1]["seq"]

    async def strays(self) -> int:
        """How many records belong to no chain."""
        return await self._connection.fetchval(_query("strays"))


class Audits(Facet):
    """What the trail is written and read by. Nothing here can change a record."""

    async def append_audit(self, records: Sequence[Record], *, again: bool = False) -> int:
        """Records in the order they came; how many were written.

        `again`: they may have arrived before, when the answer was lost; none is then written twice.
        """
        batch: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            batch.setdefault(record.tenant, []).append(_row(record))
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(_query("append"), json.dumps(batch), again)

    async def prune_audit(self, tenant: str, *, before: datetime, keep: int, most: int, why: str) -> int:
        """Remove at most so many of a tenant's oldest records; how many there were. Those of the last day and
        the last ten thousand stay whatever is asked, and so does a chain that lacks a record.
        """
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(_query("prune"), tenant, before, keep, most, why)

    async def prunable_audits(self, *, before: datetime, keep: int, limit: int) -> list[str]:
        """Tenants with records from before then, or with more than so many."""
        async with self._control_plane.connection() as connection:
            rows = await connection.fetch(_query("prunable"), before, keep, limit)
        return [row["tenant"] for row in rows]

    @asynccontextmanager
    async def reading_audit(self) -> AsyncGenerator[AuditReading]:
        """The trail as it is now, whatever is appended or pruned meanwhile."""
        async with self._control_plane.transaction() as connection:
            await connection.execute(_query("one_state"))
            yield AuditReading(connection)

    async def audit_is_changeable(self) -> bool:
        """Whether the role we sign in as could change or remove records without being refused."""
        async with self._control_plane.connection() as connection:
            return await connection.fetchval(_query("changeable"))

    async def give_audit_away(self, admin: ConnectionUri) -> None:
        """Give the trail to an owner nobody signs in as, unless that was done. `admin`: a superuser there."""
        async with self._control_plane.connection() as connection:
            if not await connection.fetchval(_query("owned_by_us")):
                return
            serving = quote_identifier(await connection.fetchval(_query("current_user")))
        script = cast("LiteralString", _OWNER_FILE.read_text(encoding="utf-8"))  # reviewed, ours
        above = await ControlPlane.open(admin)
        try:
            async with above.transaction() as connection:
                await connection.execute(script.replace('"serving_role"', serving))
        finally:
            await above.close()


def _row(record: Record) -> dict[str, Any]:
    """The record by the names of its columns; what is NULL is left out."""
    row = {
        "at": record.at.isoformat(),
        "actor": record.actor,
        "workspace": record.workspace,
        "kind": record.kind,
        "database": record.database,
        "tool": record.tool,
        "class": record.statement_class,
        "fingerprint": _bytea(record.fingerprint),
        "digest": _bytea(record.digest),
        "statement": record.statement,
        "outcome": record.outcome,
        "reason": record.reason,
        "rows": record.rows,
        "bytes": record.size,
        "micros": record.micros,
        "cost_micros": record.cost_micros,
        "request": _bytea(record.request),
    }
    return {name: value for name, value in row.items() if value is not None}


def _bytea(value: bytes | None) -> str | None:
    return None if value is None else "\\x" + value.hex()


def _chain(row: Any) -> Chain:
    return Chain(
        row["tenant"],
        row["seq"],
        row["hash"],
        row["cut_seq"],
        row["cut_hash"],
        row["cut_at"],
        row["cut_why"],
    )


def _link(tenant: str, row: Any) -> Link:
    record = Record(
        tenant=tenant,
        at=row["at"],
        actor=row["actor"],
        workspace=row["workspace"],
        kind=row["kind"],
        database=row["database"],
        tool=row["tool"],
        statement_class=row["class"],
        fingerprint=row["fingerprint"],
        digest=row["digest"],
        statement=row["statement"],
        outcome=row["outcome"],
        reason=row["reason"],
        rows=row["rows"],
        size=row["bytes"],
        micros=row["micros"],
        cost_micros=row["cost_micros"],
        request=row["request"],
    )
    return Link(row["seq"], record, row["hash"])
