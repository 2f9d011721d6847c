-- name: append
-- Records in the order they came, by tenant; how many were written. $1 {tenant: [record]}, $2 whether they may
-- have arrived before
SELECT agentdb_audit.append($1, $2)

-- name: prune
-- How many of the oldest went. $1 tenant, $2 before when, $3 how many are kept at most, $4 how many at once, $5 why
SELECT agentdb_audit.prune($1, $2, $3, $4, $5)

-- name: prunable
-- Tenants with something to prune, the longest chains first. $1 before when, $2 how many are kept, $3 limit
SELECT tenant FROM agentdb_audit.chain AS c
 WHERE seq - cut_seq > $2
    OR (SELECT r.at FROM agentdb_audit.record AS r WHERE r.chain = c.id AND r.seq = c.cut_seq + 1) < $1
 ORDER BY seq - cut_seq DESC, id
 LIMIT $3

-- name: one_state
-- What follows in this transaction sees one state of the data.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: chains
-- Every chain, or one. $1 tenant, or NULL
SELECT * FROM agentdb_audit.chain WHERE $1::text IS NULL OR tenant = $1 ORDER BY id

-- name: records
-- A page of a chain. $1 chain, $2 after which number, $3 since when or NULL, $4 limit
SELECT * FROM agentdb_audit.record
 WHERE chain = $1 AND seq > $2 AND ($3::timestamptz IS NULL OR at >= $3)
 ORDER BY seq
 LIMIT $4

-- name: strays
-- Records that belong to no chain.
SELECT count(*) FROM agentdb_audit.record AS r
 WHERE NOT EXISTS (SELECT FROM agentdb_audit.chain AS c WHERE c.id = r.chain)

-- name: changeable
-- Whether the role we are could change or remove records, by owning something of the trail, or by a right, or
-- because it could make itself the owner (before PostgreSQL 16 by CREATEROLE alone).
SELECT rolsuper OR EXISTS (
           SELECT FROM (
               SELECT nspowner FROM pg_namespace WHERE nspname = 'agentdb_audit'
               UNION SELECT relowner FROM pg_class WHERE relnamespace = 'agentdb_audit'::regnamespace
               UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'agentdb_audit'::regnamespace
           ) AS holder (owner)
            WHERE pg_has_role(owner, 'MEMBER')
               OR pg_has_role(owner, 'MEMBER WITH ADMIN OPTION')
               OR (rolcreaterole AND current_setting('server_version_num')::int < 160000)
       ) OR EXISTS (
           SELECT FROM pg_class
            WHERE relnamespace = 'agentdb_audit'::regnamespace AND relkind = 'r'
              AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
       )
  FROM pg_roles WHERE rolname = current_user

-- name: owned_by_us
-- Whether the trail is still the property of the role that migrates.
SELECT nspowner = current_user::regrole FROM pg_namespace WHERE nspname = 'agentdb_audit'

-- name: current_user
-- The role that we sign in as.
SELECT current_user
