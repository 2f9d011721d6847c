"""How many rows a change touched, by table: those of triggers, cascades and functions included."""

from collections.abc import Mapping
from typing import Final, LiteralString, cast

from agentdb_mcp.core.changes import Touched
from agentdb_mcp.execution.asking import ask
from agentdb_mcp.execution.session import Session

Counts = Mapping[tuple[str, str], tuple[int, int, int]]

_TOUCHED: Final[LiteralString] = """
SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
ORDER BY schemaname, relname
"""
"""Counts of this transaction and of those before it that the session has not reported yet (manual, section
"The Cumulative Statistics System"); none are reported while a transaction is open."""

_NONE: Final = (0, 0, 0)


async def counts(session: Session) -> Counts:
    """What the session has counted so far: inserted, updated and deleted, by schema and table."""
    rows = cast("list[tuple[str, str, int, int, int]]", await ask(session, _TOUCHED))
    return {
        (schema, table): (inserted, updated, deleted) for schema, table, inserted, updated, deleted in rows
    }


def difference(before: Counts, after: Counts) -> tuple[Touched, ...]:
    """What came between two counts."""
    counted = [
        (name, [now - then for now, then in zip(counts, before.get(name, _NONE), strict=True)])
        for name, counts in after.items()
    ]
    return tuple(
        Touched(schema, table, inserted, updated, deleted)
        for (schema, table), (inserted, updated, deleted) in counted
        if inserted or updated or deleted
    )
