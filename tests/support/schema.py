"""A schema as text, from PostgreSQL's own catalogs: the same on every version, and in an order that diffs."""

from typing import Any

COLUMNS = """
SELECT c.oid::regclass::text AS relation, format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
       || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
       || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END AS line
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace IN ('public'::regnamespace, 'agentdb_audit'::regnamespace) AND c.relkind = 'r'
 ORDER BY c.relname COLLATE "C", a.attnum"""

# PostgreSQL 18 also keeps NOT NULL as a constraint; it stands with the column already.
CONSTRAINTS = """
SELECT conrelid::regclass::text AS relation, format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS line
  FROM pg_constraint
 WHERE connamespace IN ('public'::regnamespace, 'agentdb_audit'::regnamespace) AND conrelid <> 0 AND contype <> 'n'
 ORDER BY conname COLLATE "C" """

SEPARATOR = ",\n"

KINDS = """
SELECT oid::regclass::text AS relation, CASE relpersistence WHEN 'u' THEN 'UNLOGGED TABLE' ELSE 'TABLE' END AS kind
  FROM pg_class WHERE relkind = 'r' """

PARENTS = "SELECT inhrelid::regclass::text AS relation, inhparent::regclass::text AS parent FROM pg_inherits"

OTHERS = """
SELECT line FROM (
    SELECT 1, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace IN ('public'::regnamespace, 'agentdb_audit'::regnamespace)
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
    UNION ALL
    SELECT 2, rtrim(pg_get_functiondef(p.oid)) FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, 'agentdb_audit'::regnamespace)
    UNION ALL
    SELECT 3, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal
) AS found (rank, line) ORDER BY rank, line COLLATE "C" """


async def described(connection: Any) -> str:
    """Everything a migration can make in the schemas of ours."""
    parents = {row["relation"]: row["parent"] for row in await connection.fetch(PARENTS)}
    kinds = {row["relation"]: row["kind"] for row in await connection.fetch(KINDS)}
    bodies: dict[str, list[str]] = {}
    for row in [*await connection.fetch(COLUMNS), *await connection.fetch(CONSTRAINTS)]:
        bodies.setdefault(row["relation"], []).append("    " + row["line"])
    tables = [
        f"CREATE {kinds[name]} {name} (\n{SEPARATOR.join(lines)}\n)"
        + (f" INHERITS ({parents[name]})" if name in parents else "")
        for name, lines in bodies.items()
    ]
    return ";\n\n".join([*tables, *(row["line"] for row in await connection.fetch(OTHERS))]) + ";\n"
