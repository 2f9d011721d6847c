"""Going on behind the last row of a page, by its key (docs/adr/0015-keys-and-cuts.md)."""

from collections.abc import Sequence
from typing import Final, LiteralString

from agentdb_mcp.core.guard import Keyset
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.answers import Answer, Prepared
from agentdb_mcp.execution.calls import Call
from agentdb_mcp.execution.session import Session

_IS_KEY: Final[LiteralString] = """
SELECT (c.relkind = 'p' OR c.relkind = 'r' AND NOT c.relhassubclass)
   AND NOT EXISTS (SELECT FROM pg_constraint n
                    WHERE n.conrelid = c.oid AND n.contype = 'n' AND NOT n.convalidated)
   AND NOT EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS k (name)
                     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = k.name AND a.attnum > 0
                    WHERE a.attnotnull IS NOT TRUE)
   AND EXISTS (SELECT FROM pg_index i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                  AND i.indpred IS NULL AND i.indexprs IS NULL
                  AND NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS p (n)
                                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[p.n]
                                    JOIN pg_opclass o ON o.oid = i.indclass[p.n]
                                   WHERE NOT (a.attname = ANY ($2::text[]) AND o.opcdefault
                                              AND a.attcollation = i.indcollation[p.n])))
  FROM pg_class c
 WHERE c.oid = pg_catalog.to_regclass($1)
"""
"""Whether no two rows of a table agree in these columns, and all have them.

Rows of tables that inherit from it, and a NOT NULL that was never validated, could break that.
"""


class NotAKey(Exception):
    """The order may leave rows on one place."""


class Seek(Call):
    """The rows behind a key, and whether it is one: meanwhile the table cannot change its form."""

    def __init__(self, text: str, params: Sequence[JsonValue], caps: Caps, keyset: Keyset) -> None:
        super().__init__(text, params, caps, reads=True, keep=True)
        self._keyset = keyset

    async def perform(self, session: Session) -> ResultSet:
        found = await super().perform(session)
        is_key = await _is_key(session, self._keyset)
        await session.roll_back()
        if not is_key:
            raise NotAKey
        return found

    async def _prepare_and_execute(self, session: Session) -> tuple[Prepared, Answer]:
        await session.begin("READ ONLY")
        return await super()._prepare_and_execute(session)


async def _is_key(session: Session, keyset: Keyset) -> bool:
    prepared = await session.prepare_text(_IS_KEY, keep=True)
    relation = ".".join(map(quote_identifier, keyset.relation))
    answer = await session.execute_text(prepared, [relation, list(keyset.keys)], most_rows=1, allowance=1_000)
    return answer.rows == ((True,),)
