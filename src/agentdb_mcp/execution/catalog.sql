-- What is in an agent's database, asked of the catalogs as its reader role: nothing it may not read is shown, and
-- nothing runs with more rights than the agent's own. Each query has a name, a line of prose, and its parameters.
-- Functions have their schema, and operators take exactly the types of PostgreSQL's own: one in `public` that fits
-- better, another agent's, would else be found first and tell what it likes.

-- name: list_tables
-- Tables and views, but not PostgreSQL's own or extensions'. Words are searched in names and comments of tables and
-- of their columns: all must be found, and where decides the order. $1 schema or NULL, $2 LIKE pattern or NULL,
-- $3 schema.name to go on after or NULL, $4 words in lower case or NULL, $5 limit
WITH candidates AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, n.nspname::text || '.' || c.relname::text AS full_name,
           pg_catalog.obj_description(c.oid, 'pg_class') AS comment
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT c.relispartition
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions', 'agentdb')
       AND n.nspname::text !~ '^pg_(toast|temp)'
       AND ($1::text IS NULL OR n.nspname = $1)
       AND ($2::text IS NULL OR c.relname::text ILIKE $2)
       AND ($3::text IS NULL OR n.nspname::text || '.' || c.relname::text > $3 COLLATE "C")
       AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass::oid AND d.objid = c.oid AND d.deptype = 'e')
), columns AS (
    SELECT a.attrelid, a.attnum, a.attname, w.word,
           CASE WHEN pg_catalog.strpos(pg_catalog.lower(a.attname::text), w.word) > 0 THEN 4 ELSE 5 END AS rank
      FROM candidates c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.unnest($4::text[]) AS w (word)
        ON pg_catalog.strpos(pg_catalog.lower(a.attname::text), w.word) > 0
        OR pg_catalog.strpos(pg_catalog.lower(pg_catalog.col_description(a.attrelid, a.attnum)), w.word) > 0
), ranks AS (
    SELECT c.oid, least(CASE WHEN pg_catalog.lower(c.relname::text) = w.word THEN 0
                             WHEN pg_catalog.starts_with(pg_catalog.lower(c.relname::text), w.word) THEN 1
                             WHEN pg_catalog.strpos(pg_catalog.lower(c.relname::text), w.word) > 0 THEN 2
                             WHEN pg_catalog.strpos(pg_catalog.lower(c.comment), w.word) > 0 THEN 3 END,
                        (SELECT pg_catalog.min(h.rank)
                           FROM columns h WHERE h.attrelid = c.oid AND h.word = w.word)) AS rank
      FROM candidates c, pg_catalog.unnest($4::text[]) AS w (word)
), listed AS (
    SELECT c.*, r.rank
      FROM candidates c
      LEFT JOIN (SELECT oid, pg_catalog.sum(rank) AS rank
                   FROM ranks GROUP BY oid HAVING pg_catalog.count(*) = pg_catalog.count(rank)) r USING (oid)
     WHERE $4::text[] IS NULL OR r.rank IS NOT NULL
     ORDER BY r.rank, c.full_name COLLATE "C"
     LIMIT $5::int
)
SELECT l.nspname, l.relname, l.relkind::text, size.estimated_rows, size.bytes, l.comment,
       (SELECT pg_catalog.json_agg(DISTINCT h.attname) FROM columns h WHERE h.attrelid = l.oid)
  FROM listed l
  LEFT JOIN LATERAL (
    -- Before the first ANALYZE statistics that say 0 of a table that has pages are late: nothing is known.
    SELECT pg_catalog.sum(CASE WHEN p.reltuples > 0::float4 THEN p.reltuples
                    WHEN pg_catalog.pg_relation_size(p.oid) = 0 THEN 0
                    ELSE nullif(pg_catalog.pg_stat_get_live_tuples(p.oid), 0) END)::int8
               AS estimated_rows,
           pg_catalog.sum(pg_catalog.pg_total_relation_size(p.oid))::int8 AS bytes
      FROM (SELECT l.oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(l.oid)) part
      JOIN pg_class p ON p.oid = part.relid AND p.relkind IN ('r', 'm')
  ) size ON true
 ORDER BY l.rank, l.full_name COLLATE "C"

-- name: find_table
-- The tables a name can mean, the one the search path finds first. $1 name or schema.name, $2 schema or NULL
SELECT c.oid, n.nspname, pg_catalog.pg_table_is_visible(c.oid)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (c.relname = $1 OR n.nspname::text || '.' || c.relname::text = $1)
   AND n.nspname <> 'agentdb'
   AND ($2::text IS NULL OR n.nspname = $2)
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
 ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, n.nspname
 LIMIT 2

-- name: describe_table
-- One table in full, its lists as JSON. $1 object id
WITH key_columns AS (
    SELECT con.oid,
           (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
              FROM pg_catalog.unnest(con.conkey) WITH ORDINALITY AS k (number, place)
              JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number) AS own,
           (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
              FROM pg_catalog.unnest(con.confkey) WITH ORDINALITY AS k (number, place)
              JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.number) AS referenced
      FROM pg_constraint con
     WHERE con.conrelid = $1::oid OR con.confrelid = $1::oid
), actions (code, words) AS (
    VALUES ('a', 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT')
), keys AS (
    SELECT con.conrelid, con.confrelid, con.conname, con.contype, con.conparentid, k.own, k.referenced,
           d.words AS on_delete, u.words AS on_update,
           fn.nspname AS from_schema, f.relname AS from_table, tn.nspname AS to_schema, t.relname AS to_table
      FROM key_columns k
      JOIN pg_constraint con ON con.oid = k.oid
      JOIN pg_class f ON f.oid = con.conrelid
      JOIN pg_namespace fn ON fn.oid = f.relnamespace
      LEFT JOIN pg_class t ON t.oid = con.confrelid
      LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
      LEFT JOIN actions d ON d.code = con.confdeltype
      LEFT JOIN actions u ON u.code = con.confupdtype
)
SELECT n.nspname, c.relname, c.relkind::text, size.estimated_rows, size.bytes,
       pg_catalog.obj_description(c.oid, 'pg_class'),
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
                   CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
                   CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
                   CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
                   pg_catalog.col_description(c.oid, a.attnum),
                   (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
                      FROM pg_enum e WHERE e.enumtypid IN (t.oid, t.typelem))) ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, k.own))
          FROM keys k WHERE k.conrelid = c.oid AND k.contype = 'p') AS primary_key,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, k.own) ORDER BY k.conname)
          FROM keys k WHERE k.conrelid = c.oid AND k.contype = 'u') AS unique_keys,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   con.conname, pg_catalog.pg_get_constraintdef(con.oid, true)) ORDER BY con.conname)
          FROM pg_constraint con WHERE con.conrelid = c.oid AND con.contype IN ('c', 'x')) AS checks,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, k.own, k.to_schema, k.to_table, k.referenced,
                                         k.on_delete, k.on_update) ORDER BY k.conname)
          FROM keys k WHERE k.conrelid = c.oid AND k.contype = 'f') AS foreign_keys,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                                         k.conname, k.referenced, k.from_schema, k.from_table, k.own,
                                         k.on_delete, k.on_update) ORDER BY k.from_schema, k.from_table, k.conname)
          FROM keys k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0) AS referenced_by,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   i.relname, pg_catalog.pg_get_indexdef(i.oid)) ORDER BY i.relname)
          FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid) AS indexes,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true)) ORDER BY t.tgname)
          FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers,
       CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'enabled' END AS row_security,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(p.polname, pg_catalog.concat_ws(' ',
                   CASE WHEN NOT p.polpermissive THEN 'RESTRICTIVE' END,
                   CASE p.polcmd WHEN 'r' THEN 'FOR SELECT' WHEN 'a' THEN 'FOR INSERT' WHEN 'w' THEN 'FOR UPDATE'
                                 WHEN 'd' THEN 'FOR DELETE' ELSE 'FOR ALL' END,
                   'TO ' || (SELECT pg_catalog.string_agg(CASE role WHEN 0 THEN 'public'
                                                      ELSE pg_catalog.pg_get_userbyid(role)::text END, ', ')
                               FROM pg_catalog.unnest(p.polroles) AS role),
                   'USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
                   'WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')) ORDER BY p.polname)
          FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
       (SELECT pg_catalog.json_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
          FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT c.relispartition) AS inherits,
       (SELECT pg_catalog.json_agg(heir.name ORDER BY heir.name)
          FROM (SELECT i.inhrelid::regclass::text AS name
                  FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind <> 'p'
                 ORDER BY 1 LIMIT 100) heir) AS heirs,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid, true) END AS view_definition,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(part.name, part.bound) ORDER BY part.name)
          FROM (SELECT i.inhrelid::regclass::text AS name, pg_catalog.pg_get_expr(p.relpartbound, p.oid) AS bound
                  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
                 WHERE i.inhparent = c.oid AND p.relispartition
                 ORDER BY 1 LIMIT 100) part) AS partitions,
       (SELECT i.inhparent::regclass::text FROM pg_inherits i
         WHERE i.inhrelid = c.oid AND c.relispartition) AS partition_of,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_bound
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    -- Before the first ANALYZE statistics that say 0 of a table that has pages are late: nothing is known.
    SELECT pg_catalog.sum(CASE WHEN p.reltuples > 0::float4 THEN p.reltuples
                    WHEN pg_catalog.pg_relation_size(p.oid) = 0 THEN 0
                    ELSE nullif(pg_catalog.pg_stat_get_live_tuples(p.oid), 0) END)::int8
               AS estimated_rows,
           pg_catalog.sum(pg_catalog.pg_total_relation_size(p.oid))::int8 AS bytes
      FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) part
      JOIN pg_class p ON p.oid = part.relid AND p.relkind IN ('r', 'm')
  ) size ON true
 WHERE c.oid = $1::oid

-- name: names
-- Names that begin so. $1 the beginning, $2 whether of schemas, else of tables, $3 schema or NULL, $4 limit
SELECT DISTINCT CASE WHEN $2::bool THEN n.nspname ELSE c.relname END AS name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions', 'agentdb')
   AND n.nspname::text !~ '^pg_(toast|temp)'
   AND pg_catalog.starts_with(CASE WHEN $2::bool THEN n.nspname::text ELSE c.relname::text END, $1::text)
   AND ($3::text IS NULL OR n.nspname = $3)
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
 ORDER BY name
 LIMIT $4::int

-- name: schemas
-- Those that may hold tables of the agents'.
SELECT n.nspname
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions', 'agentdb')
   AND n.nspname::text !~ '^pg_(toast|temp)'
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
 ORDER BY n.nspname


-- name: stakes
-- The tables that are meant and about how many rows they hold. $1 schemas or NULLs, $2 names, or NULLs for all
SELECT asked.place, n.nspname, c.relname, size.estimated_rows
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (schema, name, place)
  JOIN pg_class c ON c.relkind IN ('r', 'p', 'm')
   AND CASE WHEN asked.name IS NULL THEN NOT c.relispartition ELSE c.relname = asked.name END
  JOIN pg_namespace n ON n.oid = c.relnamespace
   AND CASE WHEN asked.schema IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = asked.schema END
  LEFT JOIN LATERAL (
    SELECT pg_catalog.sum(CASE WHEN pg_catalog.pg_relation_size(p.oid) = 0 THEN 0
                    ELSE nullif(greatest(p.reltuples, pg_catalog.pg_stat_get_live_tuples(p.oid)), 0) END)::int8
               AS estimated_rows
      FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) part
      JOIN pg_class p ON p.oid = part.relid AND p.relkind IN ('r', 'm')
  ) size ON true
 ORDER BY asked.place, n.nspname, c.relname
 LIMIT 1000

-- name: readable_names
-- Names to suggest for one that was not found. $1 limit
SELECT n.nspname, c.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions', 'agentdb')
   AND n.nspname::text !~ '^pg_(toast|temp)'
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
 ORDER BY n.nspname, c.relname
 LIMIT $1::int

-- name: database_facts
-- What the database is: PostgreSQL's version, bytes on disk, and its extensions with versions and schemas
SELECT pg_catalog.current_setting('server_version'),
       -- pg_database_size is among the functions that agents may not call
       (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(oid))::int8
          FROM pg_class WHERE relkind IN ('r', 'm') AND NOT relisshared),
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(e.extname, e.extversion, n.nspname) ORDER BY e.extname)
          FROM pg_extension e
          JOIN pg_namespace n ON n.oid = e.extnamespace)
