-- What the tables of an agent's database look like, small enough to be compared with what they looked like before.

-- name: shape
-- A digest over all tables and views, and, unless it is $1, an array for each of them: oid, schema, name, kind, digest
-- and columns (number, name, type). The digests follow the rows of the catalogs, which change whenever a definition
-- does and not when rows are written. Partitions count as definitions of their table.
WITH relations AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT c.relispartition
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions', 'agentdb')
       AND n.nspname::text !~ '^pg_(toast|temp)'
       AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass::oid AND d.objid = c.oid AND d.deptype = 'e')
), parts (relation, part, state) AS (
    SELECT attrelid, attnum, xmin FROM pg_attribute
     WHERE attrelid >= 16384::oid AND attnum > 0 AND NOT attisdropped  -- below are PostgreSQL's own
    UNION ALL SELECT adrelid, oid, xmin FROM pg_attrdef
    UNION ALL SELECT conrelid, oid, xmin FROM pg_constraint
    UNION ALL SELECT indrelid, indexrelid, xmin FROM pg_index
    UNION ALL SELECT inhparent, inhrelid, xmin FROM pg_inherits
    UNION ALL SELECT inhrelid, inhparent, xmin FROM pg_inherits
    UNION ALL SELECT tgrelid, oid, xmin FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT polrelid, oid, xmin FROM pg_policy
    UNION ALL SELECT ev_class, oid, xmin FROM pg_rewrite
    UNION ALL SELECT objoid, objsubid, xmin FROM pg_description WHERE classoid = 'pg_class'::regclass::oid
), digests AS (
    SELECT r.oid, r.nspname, r.relname, r.relkind,
           pg_catalog.md5(pg_catalog.concat_ws('.', r.oid, r.nspname, r.relname, r.relkind, r.relrowsecurity,
               r.relforcerowsecurity,
                         pg_catalog.sum(pg_catalog.hashint8extended(p.part::int8, p.state::text::int8)))) AS digest
      FROM relations r
      LEFT JOIN parts p ON p.relation = r.oid
     GROUP BY r.oid, r.nspname, r.relname, r.relkind, r.relrowsecurity, r.relforcerowsecurity
), mark AS (
    SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(digest, '' ORDER BY oid)), '') AS digest FROM digests
)
SELECT mark.digest,
       CASE WHEN mark.digest IS DISTINCT FROM $1::text THEN
           (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(d.oid::int8, d.nspname, d.relname,
               d.relkind::text, d.digest,
                       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname,
                           pg_catalog.format_type(a.atttypid, a.atttypmod))
                                        ORDER BY a.attnum)
                          FROM pg_attribute a
                         WHERE a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY d.oid)
              FROM digests d)
       END
  FROM mark
