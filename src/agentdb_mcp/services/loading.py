"""Bulk loading for an agent: rows into one table, judged as the insertion they are."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.changes import Key, Statement
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import ALL, Asked, Caps, JsonValue
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.execution.copying import Place
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.transactions import Transaction
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.fairness import Turns
from agentdb_mcp.services.transactions import Transactions
from agentdb_mcp.services.writes import no_key_in_transaction

MOST_ROWS: Final = 100_000
"""Of one load."""

_FIND: Final[LiteralString] = """
SELECT n.nspname, c.relname, c.relkind IN ('r', 'p', 'f'), pg_catalog.pg_table_is_visible(c.oid),
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   a.attname, a.attgenerated <> '', a.attidentity = 'a') ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (c.relname = $1 OR n.nspname::text || '.' || c.relname::text = $1)
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
 ORDER BY 4 DESC, 1
 LIMIT 2
"""
"""What a table's name ($1) can mean: schema, name, whether it takes rows, is on the path, and its columns."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load."""

    count: int
    """Rows: all there were."""
    replayed: bool = False
    """Whether an earlier call with the same key loaded them, and this one nothing."""


class LoadService:
    """A turn, access, the table, the guard, the load: in this order, each refusing on its own."""

    def __init__(
        self,
        access: AccessService,
        admission: Admission,
        runner: Runner,
        *,
        turns: Turns,
        catalog: Catalog,
        transactions: Transactions,
    ) -> None:
        self._access = access
        self._admission = admission
        self._runner = runner
        self._turns = turns
        self._catalog = catalog
        self._transactions = transactions

    async def load(
        self,
        principal: Principal,
        kind: Kind,
        table: str,
        columns: Sequence[JsonValue],
        rows: Sequence[JsonValue],
        *,
        key: str | None = None,
        asked: Asked = ALL,
        transaction: str | None = None,
    ) -> Loaded:
        """How many rows were loaded: all, or none and an error. With a key they are loaded once.

        Raises Missing("table_not_found"), Invalid("rows_invalid") naming rows and columns whose values do not
        fit, and SqlFailed with the row that a constraint refused.
        """
        names = _names(columns, rows)
        once = (
            None if key is None else _key(principal, key, Statement(table, [[*names], [*rows]]), transaction)
        )
        async with (
            self._admission.recorded(principal, kind, "load_rows", None) as entry,
            self._turns.turn(principal.workspace_id, asked.seconds),
            self._transactions.use(principal, kind, transaction) as within,
        ):
            target = await self._access.resolve(principal, kind)
            caps = self._admission.limits(target, asked)
            place = await self._place(target, table, names, caps, within)
            entry.sql = place.insertion()
            target, approved = await self._admission.admit(principal, kind, "execute", entry.sql, entry)
            if once is not None:
                made = await self._runner.load_once(target, approved, place, rows, caps=caps, key=once)
            else:
                made = await self._runner.load(target, approved, place, rows, caps=caps, within=within)
            return Loaded(entry.changed(made).results[0].affected or 0, made.replayed)

    async def _place(
        self, target: Target, table: str, names: Sequence[str], caps: Caps, within: Transaction | None
    ) -> Place:
        found = (await self._runner.read(target, _FIND, (table,), caps, within)).rows
        if not found:
            raise await self._catalog.missing(target, table)
        (schema, name, takes_rows, is_visible, described), *others = found
        if others and not is_visible:
            raise Invalid(
                "bad_argument",
                f'Several schemas have a table "{table}".',
                f"Say which one: {schema}.{name} or {others[0][0]}.{others[0][1]}.",
            )
        if not takes_rows:
            raise Invalid("bad_argument", f'"{table}" is a view; only tables can be loaded.')
        for column in names:
            _check_column(column, table, json.loads(str(described) if described else "[]"))
        return Place(str(schema), str(name), tuple(names))


def _names(columns: Sequence[JsonValue], rows: Sequence[JsonValue]) -> list[str]:
    """The columns as what they must be. Raises Invalid, also for too many rows."""
    names = [name for name in columns if isinstance(name, str) and name]
    if not names or len(set(names)) < len(columns):
        raise Invalid("bad_argument", "columns must be names of columns, each once.")
    if not 0 < len(rows) <= MOST_ROWS:
        raise Invalid(
            "bad_argument",
            f"{len(rows):,} rows were given; a call loads 1 to {MOST_ROWS:,}.",
            "Send more in several calls, in a transaction if all or none are to be kept.",
        )
    return names


def _key(principal: Principal, text: str, load: Statement, transaction: str | None) -> Key:
    if transaction is not None:
        raise no_key_in_transaction("Load without a key, or outside of the transaction.")
    return Key.of(principal.workspace_id, text, "load_rows", [load])


def _check_column(column: str, table: str, described: list[tuple[str, bool, bool]]) -> None:
    facts = {name: (is_generated, is_identity) for name, is_generated, is_identity in described}
    if column not in facts:
        near = difflib.get_close_matches(column, facts, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has: {', '.join(list(facts)[:20])}."
        raise Invalid("bad_argument", f'"{table}" has no column "{column}".', hint)
    is_generated, is_identity = facts[column]
    if is_generated or is_identity:
        what = "computes it from other columns" if is_generated else "numbers it itself (an identity column)"
        raise Invalid(
            "bad_argument",
            f'The column "{column}" takes no values: PostgreSQL {what}.',
            "Leave it out of columns and rows.",
        )
