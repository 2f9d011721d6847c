-- The control plane's statements. Each has a name, a line of prose, and parameters in the order it lists them.
-- managed_database is the empty parent of all databases' rows: see migrations/0001_control_plane.sql.
-- Leases last seconds and back-offs minutes: one that ends in more than an hour was edited by hand, or left by a
-- clock that was set back, and holds nobody up.

-- name: installation_mark
-- What the names of this installation's databases begin with, where others' lie beside them.
SELECT mark FROM installation

-- name: user_exists
-- Whether the host knows this user. $1 user
SELECT EXISTS (SELECT FROM "user" WHERE id = $1)

-- name: add_user
-- Only when missing, and never touching a row that is there: a host's own table wants more columns. $1 user
INSERT INTO "user" (id) SELECT $1::text WHERE NOT EXISTS (SELECT FROM "user" WHERE id = $1)
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: lock_user
-- Keeps others from registering or withdrawing the same user until we are done. $1 user
SELECT id FROM "user" WHERE id = $1 FOR UPDATE

-- name: delete_user
-- Its workspaces and databases go with it by cascade, and leave their tombstones. $1 user
DELETE FROM "user" WHERE id = $1

-- name: delete_unused_user
-- Takes back a user that nothing was made for. $1 user
DELETE FROM "user" AS u
 WHERE u.id = $1
   AND NOT EXISTS (SELECT FROM user_global_database WHERE user_id = u.id)
   AND NOT EXISTS (SELECT FROM workspace WHERE owner_id = u.id)
RETURNING id

-- name: add_budget
-- The row that the user's spending is held against. $1 user
INSERT INTO user_db_budget (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING

-- name: plan
-- The best plan that is paid for. $1 user
SELECT plan::text FROM subscription
 WHERE reference_id = $1 AND status IN ('active', 'trialing')
 ORDER BY array_position(ARRAY['free', 'pro', 'team', 'enterprise'], plan::text) DESC NULLS LAST
 LIMIT 1

-- name: change_plan
-- Of the subscription that is in force. $1 user, $2 plan
UPDATE subscription SET plan = $2 WHERE reference_id = $1 AND status IN ('active', 'trialing') RETURNING id

-- name: add_plan
-- A first subscription. $1 user, $2 plan
INSERT INTO subscription (reference_id, plan) VALUES ($1, $2)

-- name: delete_plans
-- What a deleted user was subscribed to: the same id may register again. $1 user
DELETE FROM subscription WHERE reference_id = $1

-- name: workspace_owner
-- $1 workspace
SELECT owner_id FROM workspace WHERE id = $1

-- name: lock_workspace
-- Its owner, who stays so until we are done. $1 workspace
SELECT owner_id FROM workspace WHERE id = $1 FOR UPDATE

-- name: give_workspace
-- $1 workspace, $2 new owner
UPDATE workspace SET owner_id = $2 WHERE id = $1

-- name: lock_agent_database
-- $1 workspace
SELECT * FROM workspace_database WHERE workspace_id = $1 FOR UPDATE

-- name: give_database
-- $1 database, $2 new owner, $3 owner's, $4 writer's and $5 reader's URI, sealed for the new owner
UPDATE workspace_database
   SET user_id = $2, neon_connection_uri = $3, writer_connection_uri = $4, reader_connection_uri = $5,
       updated_at = now()
 WHERE id = $1
RETURNING *

-- name: moved
-- Whose workspace a host gave away in its own table. $1 limit
SELECT d.id FROM workspace_database AS d JOIN workspace AS w ON w.id = d.workspace_id
 WHERE w.owner_id <> d.user_id
   AND (d.lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
 ORDER BY d.id
 LIMIT $1

-- name: hold_moved
-- $1 database
SELECT d.*, w.owner_id FROM workspace_database AS d JOIN workspace AS w ON w.id = d.workspace_id
 WHERE d.id = $1
   FOR UPDATE OF d

-- name: add_workspace
-- Only when missing, like a user. $1 workspace, $2 owner, $3 name
INSERT INTO workspace (id, owner_id, name)
SELECT $1::text, $2::text, $3::text WHERE NOT EXISTS (SELECT FROM workspace WHERE id = $1)
ON CONFLICT (id) DO NOTHING

-- name: delete_workspace
-- Its database goes with it by cascade, and leaves its tombstone. $1 workspace, $2 owner
DELETE FROM workspace WHERE id = $1 AND owner_id = $2

-- name: delete_workspaces
-- All of a user's, also where a host's tables do not cascade. $1 user
DELETE FROM workspace WHERE owner_id = $1

-- name: want_global_database
-- The user's one shared database, wanted now or long ago. $1 user, $2 provider
INSERT INTO user_global_database AS d (user_id, provider) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET provider = d.provider
RETURNING *

-- name: want_agent_database
-- The workspace's one database, wanted now or long ago. $1 workspace, $2 user, $3 provider
INSERT INTO workspace_database AS d (workspace_id, user_id, provider) VALUES ($1, $2, $3)
ON CONFLICT (workspace_id) DO UPDATE SET provider = d.provider
RETURNING *

-- name: lock_imports
-- $1 lock
SELECT pg_advisory_xact_lock($1)

-- name: project_is_taken
-- Whether another database lives in that project. $1 project or NULL, $2 workspace or NULL, $3 user
SELECT EXISTS (SELECT FROM managed_database
                WHERE neon_project_id = $1 AND provider = 'neon' AND observed_state <> 'deleted'
                  AND (workspace_id, user_id) IS DISTINCT FROM ($2::text, $3::text))

-- name: on_record_of_others
-- Which of these projects the row of another database names, unless that one is gone. $1 database, $2 provider,
-- $3 projects
SELECT DISTINCT neon_project_id FROM managed_database
 WHERE neon_project_id = ANY ($3::text[]) AND provider = $2 AND id <> $1 AND ownership_type = 'platform'
   AND NOT (desired_state = 'deleted' AND observed_state = 'deleted')

-- name: import_global_database
-- A database that was there before us; another row in its place stays. $1 no workspace, $2 user, $3 provider,
-- $4 ownership, $5 project
INSERT INTO user_global_database AS d (workspace_id, user_id, provider, ownership_type, neon_project_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id) DO UPDATE SET provider = d.provider
RETURNING *

-- name: import_database
-- The same for a workspace's. $1 workspace, $2 user, $3 provider, $4 ownership, $5 project
INSERT INTO workspace_database AS d (workspace_id, user_id, provider, ownership_type, neon_project_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id) DO UPDATE SET provider = d.provider
RETURNING *

-- name: global_database
-- $1 user
SELECT * FROM user_global_database WHERE user_id = $1

-- name: agent_database
-- $1 workspace
SELECT * FROM workspace_database WHERE workspace_id = $1

-- name: database
-- $1 database
SELECT *, is_kept(deleted_at, protected, delete_after) AS kept FROM managed_database WHERE id = $1

-- name: databases
-- The deleted ones included. $1 user, or NULL for everyone's
SELECT *, is_kept(deleted_at, protected, delete_after) AS kept FROM managed_database
 WHERE $1::text IS NULL OR user_id = $1
 ORDER BY created_at, id

-- name: pause
-- For one more reason, or the same again. Due at once, whatever failed before. $1 database, $2 reason
UPDATE managed_database
   SET paused_by = ARRAY(SELECT DISTINCT reason FROM unnest(paused_by || $2::text) AS reason ORDER BY reason),
       attempts = 0, next_attempt_at = now(), updated_at = now()
 WHERE id = $1 AND deleted_at IS NULL
RETURNING *

-- name: resume
-- As far as that reason goes; for others it stays paused. $1 database, $2 reason
UPDATE managed_database
   SET paused_by = array_remove(paused_by, $2::text), attempts = 0, next_attempt_at = now(), updated_at = now()
 WHERE id = $1 AND deleted_at IS NULL
RETURNING *

-- name: bury_unfinished_database
-- Takes back what was never made; a trigger writes the tombstone. What only waits for new credentials holds
-- somebody's data. $1 database
DELETE FROM managed_database
 WHERE id = $1 AND desired_state <> 'deleted' AND writer_connection_uri IS NULL AND neon_project_id IS NULL

-- name: protected_databases
-- Those of a workspace, or of a user and the user's workspaces, that refuse to be deleted. $1 user or NULL,
-- $2 workspace or NULL
SELECT id FROM managed_database AS d
 WHERE protected AND deleted_at IS NULL
   AND (user_id = $1 OR workspace_id = $2
        OR EXISTS (SELECT FROM workspace AS w WHERE w.id = d.workspace_id AND w.owner_id = $1))
 ORDER BY id

-- name: protect
-- Of a tombstone as well; its grace begins anew when the protection ends. $1 database, $2 whether
UPDATE managed_database
   SET protected = $2, updated_at = now(),
       delete_after = CASE WHEN deleted_at IS NULL THEN NULL WHEN protected AND NOT $2
                           THEN now() + (SELECT grace FROM delete_policy) ELSE delete_after END
 WHERE id = $1 AND (deleted_at IS NULL OR neon_project_id IS NOT NULL)
RETURNING *, is_kept(deleted_at, protected, delete_after) AS kept

-- name: set_delete_grace
-- $1 hours
UPDATE delete_policy SET grace = make_interval(hours => $1) WHERE grace <> make_interval(hours => $1)

-- name: claim_tombstone
-- To bring its database back. $1 database, $2 seconds of the lease
UPDATE database_tombstone
   SET lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => $2),
       observed_state = 'unknown', doubted = false
 WHERE id = $1 AND neon_project_id IS NOT NULL AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
RETURNING *, is_kept(deleted_at, protected, delete_after) AS kept

-- name: revive_global_database
-- From its tombstone; nothing when the user has another by now. $1 database
INSERT INTO user_global_database (
    id, user_id, provider, neon_project_id, neon_branch_id, database_name, current_period_cost_cents,
    last_consumption_sync, created_at, updated_at, paused_by, protected
)
SELECT id, user_id, provider, neon_project_id, neon_branch_id, database_name, current_period_cost_cents,
    last_consumption_sync, created_at, now(), paused_by, protected
  FROM database_tombstone WHERE id = $1
ON CONFLICT (user_id) DO NOTHING
RETURNING id

-- name: revive_agent_database
-- The same for a workspace's. $1 database
INSERT INTO workspace_database (
    id, user_id, workspace_id, provider, neon_project_id, neon_branch_id, database_name, current_period_cost_cents,
    last_consumption_sync, created_at, updated_at, paused_by, protected
)
SELECT id, user_id, workspace_id, provider, neon_project_id, neon_branch_id, database_name, current_period_cost_cents,
    last_consumption_sync, created_at, now(), paused_by, protected
  FROM database_tombstone WHERE id = $1
ON CONFLICT (workspace_id) DO NOTHING
RETURNING id

-- name: delete_tombstone
-- $1 database
DELETE FROM database_tombstone WHERE id = $1

-- name: record_final_usage
-- $1 database, $2 lease, $3 figures, or why there are none
UPDATE database_tombstone
   SET final_usage = CASE WHEN $3::jsonb ? 'missing' THEN coalesce(final_usage, $3::jsonb) ELSE $3::jsonb END,
       last_consumption_sync = CASE WHEN $3::jsonb ? 'missing' THEN last_consumption_sync ELSE now() END
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: purge_tombstones
-- $1 days since the provider's database was gone, $2 limit
DELETE FROM database_tombstone WHERE id IN (
    SELECT id FROM database_tombstone
     WHERE observed_state = 'deleted' AND updated_at < now() - make_interval(days => $1)
       AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
     ORDER BY updated_at
     LIMIT $2
       FOR UPDATE SKIP LOCKED)
RETURNING id

-- name: forget_orphans
-- Those that are no longer there. $1 provider, $2 projects that are
DELETE FROM orphan_sighting WHERE provider = $1 AND NOT project_id = ANY ($2::text[])

-- name: sight_orphans
-- $1 provider, $2 projects
INSERT INTO orphan_sighting (provider, project_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING

-- name: orphans
-- $1 provider
SELECT project_id, first_seen_at FROM orphan_sighting WHERE provider = $1

-- name: waiting_tombstones
-- Databases that are wanted gone and may still be there. $1 user or NULL, $2 workspace or NULL
SELECT id FROM database_tombstone
 WHERE (user_id = $1 OR workspace_id = $2) AND observed_state <> 'deleted'
 ORDER BY deleted_at, id

-- name: claim_due
-- Databases for which core.databases.plan() has a step, whose time has come and that nobody works on. What was
-- observed is unknown from here on, so that a crash in the middle is not taken for the state before it.
-- Those that failed come after those that did not, also after such as became due since $3, so that they hold nobody
-- up. A user's own database is never touched. $1 limit, $2 seconds of the lease, $3 those that failed are due by
-- then, or NULL for now
WITH due AS (
    SELECT id FROM managed_database
     WHERE (observed_state <> desired_state OR (desired_state <> 'deleted' AND neon_project_id IS NULL)
          OR (desired_state = 'active' AND (writer_connection_uri IS NULL OR reader_connection_uri IS NULL)))
       AND NOT (observed_state = 'paused' AND is_kept(deleted_at, protected, delete_after))
       AND ownership_type = 'platform'
       AND (next_attempt_at <= CASE WHEN attempts = 0 THEN now() ELSE coalesce($3, now()) END
            OR next_attempt_at > now() + '1 hour')
       AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
     ORDER BY attempts > 0, next_attempt_at, id
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE managed_database AS d
   SET lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => $2),
       observed_state = 'unknown', doubted = false
  FROM due WHERE d.id = due.id
RETURNING d.*, is_kept(d.deleted_at, d.protected, d.delete_after) AS kept

-- name: claim_one
-- The same for one database, without waiting for its time. $1 database, $2 seconds of the lease
UPDATE managed_database
   SET lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => $2),
       observed_state = 'unknown', doubted = false
 WHERE id = $1
   AND (observed_state <> desired_state OR (desired_state <> 'deleted' AND neon_project_id IS NULL)
          OR (desired_state = 'active' AND (writer_connection_uri IS NULL OR reader_connection_uri IS NULL)))
   AND NOT (observed_state = 'paused' AND is_kept(deleted_at, protected, delete_after))
   AND ownership_type = 'platform'
   AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
RETURNING *, is_kept(deleted_at, protected, delete_after) AS kept

-- name: claim_unseen
-- Databases that are as wanted, and were last worked on or looked at so long ago that somebody may have changed
-- them at the provider since. $1 limit, $2 seconds of the lease, $3 seconds since then
WITH unseen AS (
    SELECT id FROM managed_database
     WHERE observed_state = desired_state AND desired_state <> 'deleted'
       AND (writer_connection_uri IS NOT NULL OR desired_state = 'paused')
       AND ownership_type = 'platform'
       AND next_attempt_at <= now() - make_interval(secs => $3)
       AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE
     ORDER BY next_attempt_at, id
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE managed_database AS d
   SET lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => $2), doubted = false
  FROM unseen WHERE d.id = unseen.id
RETURNING d.*

-- name: record_unchanged
-- It was looked at, and is as it was; ends the lease and announces nothing. $1 database, $2 lease
UPDATE managed_database SET next_attempt_at = now(), lease_token = NULL, lease_expires_at = NULL
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: doubt
-- What was observed is no longer believed, nor what somebody who works on it now will record: it is looked at and
-- set right as soon as nobody does. $1 databases
UPDATE managed_database SET observed_state = 'unknown', doubted = true, attempts = 0, next_attempt_at = now()
 WHERE id = ANY ($1::text[]) AND ownership_type = 'platform'

-- name: doubt_databases
-- The same for all of a user's. $1 user
UPDATE managed_database SET observed_state = 'unknown', doubted = true, attempts = 0, next_attempt_at = now()
 WHERE user_id = $1 AND desired_state <> 'deleted' AND ownership_type = 'platform'
RETURNING id

-- name: overdue
-- What needs a step and nobody took up for long. $1 seconds
SELECT id FROM managed_database
 WHERE (observed_state <> desired_state OR (desired_state <> 'deleted' AND neon_project_id IS NULL)
          OR (desired_state = 'active' AND (writer_connection_uri IS NULL OR reader_connection_uri IS NULL)))
   AND NOT (observed_state = 'paused' AND is_kept(deleted_at, protected, delete_after))
   AND ownership_type = 'platform'
   AND greatest(next_attempt_at, lease_expires_at, CASE WHEN delete_after <= now() THEN delete_after END)
       < now() - make_interval(secs => $1)
 ORDER BY next_attempt_at, id

-- name: now
-- The control plane's time, which due times are in.
SELECT now()

-- name: leased
-- The row, if the lease is still ours, held until we have written it. $1 database, $2 lease
SELECT * FROM managed_database WHERE id = $1 AND lease_token = $2 FOR UPDATE

-- name: record_provisioned
-- What the provider made; ends the lease. $1 database, $2 project, $3 branch, $4 database name, $5 owner's,
-- $6 writer's and $7 reader's URI, sealed, or NULL for a tombstone
UPDATE managed_database
   SET neon_project_id = $2, neon_branch_id = $3, database_name = $4,
       neon_connection_uri = $5, writer_connection_uri = $6, reader_connection_uri = $7,
       observed_state = CASE WHEN doubted THEN 'unknown' ELSE 'active' END,
       attempts = 0, last_error = NULL, next_attempt_at = now(),
       lease_token = NULL, lease_expires_at = NULL, updated_at = now()
 WHERE id = $1

-- name: record_observed
-- What was seen at the provider; ends the lease. Credentials of a database that is gone open nothing.
-- $1 database, $2 lease, $3 observed
UPDATE managed_database
   SET observed_state = CASE WHEN doubted THEN 'unknown' ELSE $3 END,
       attempts = 0, last_error = NULL, next_attempt_at = now(),
       neon_connection_uri = CASE WHEN $3 = 'deleted' THEN NULL ELSE neon_connection_uri END,
       writer_connection_uri = CASE WHEN $3 = 'deleted' THEN NULL ELSE writer_connection_uri END,
       reader_connection_uri = CASE WHEN $3 = 'deleted' THEN NULL ELSE reader_connection_uri END,
       lease_token = NULL, lease_expires_at = NULL, updated_at = now()
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: record_failure
-- Tried again after 1, 2, 4 … 300 seconds, less up to half of it so that many do not come at once; ends the
-- lease. $1 database, $2 lease, $3 error code
UPDATE managed_database
   SET attempts = attempts + 1, last_error = $3,
       next_attempt_at = now() + make_interval(secs => least(300, 2 ^ least(attempts, 9)) * (1 - random() / 2)),
       lease_token = NULL, lease_expires_at = NULL, updated_at = now()
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: end_waits
-- What failed before is due now, whatever its back-off.
UPDATE managed_database SET next_attempt_at = now()
 WHERE attempts > 0 AND next_attempt_at > now()
   AND (lease_expires_at BETWEEN now() AND now() + '1 hour') IS NOT TRUE

-- name: release
-- Gives a lease back undone. $1 database, $2 lease
UPDATE managed_database SET lease_token = NULL, lease_expires_at = NULL
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: renew
-- A lease that is still ours, for longer. $1 database, $2 lease, $3 seconds from now
UPDATE managed_database SET lease_expires_at = now() + make_interval(secs => $3)
 WHERE id = $1 AND lease_token = $2
RETURNING id

-- name: forget_credentials
-- They open nothing any more, or nobody can read them: the reconciler has new ones made. Whoever makes some at this
-- moment records nothing, and nobody begins beside them before their lease is over. $1 database
UPDATE managed_database
   SET neon_connection_uri = NULL, writer_connection_uri = NULL, reader_connection_uri = NULL, lease_token = NULL,
       observed_state = 'unknown', attempts = 0, next_attempt_at = now(), updated_at = now()
 WHERE id = $1 AND desired_state <> 'deleted' AND ownership_type = 'platform'
RETURNING id

-- name: hold_keys
-- Taken by whoever seals, until its commit: the keys do not change meanwhile. $1 lock
SELECT pg_advisory_xact_lock_shared($1)

-- name: change_keys
-- Taken by whoever changes the keys, until its commit: nobody is sealing. $1 lock
SELECT pg_advisory_xact_lock($1)

-- name: anything_sealed
-- Whether a lost key would be missed.
SELECT EXISTS (SELECT FROM managed_database WHERE writer_connection_uri IS NOT NULL)

-- name: sealed_otherwise
-- Rows with a value that another key than the current one sealed. $1 the current key's values, as a pattern,
-- $2 the last id that was seen, $3 limit
SELECT id FROM managed_database
 WHERE id > $2 AND (neon_connection_uri NOT LIKE $1 OR writer_connection_uri NOT LIKE $1
                    OR reader_connection_uri NOT LIKE $1)
 ORDER BY id
 LIMIT $3

-- name: count_sealed_otherwise
-- How many of them there are. $1 the current key's values, as a pattern
SELECT count(*) FROM managed_database
 WHERE neon_connection_uri NOT LIKE $1 OR writer_connection_uri NOT LIKE $1 OR reader_connection_uri NOT LIKE $1

-- name: hold_databases
-- $1 databases
SELECT * FROM managed_database WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE

-- name: reseal
-- $1 database, $2 owner's, $3 writer's and $4 reader's URI, sealed
UPDATE managed_database
   SET neon_connection_uri = $2, writer_connection_uri = $3, reader_connection_uri = $4
 WHERE id = $1

-- name: add_agent_token
-- For the workspace's owner; nothing when there is no such workspace. $1 id, $2 digest, $3 workspace, $4 label,
-- $5 when it expires, or NULL
INSERT INTO access_token (id, digest, user_id, workspace_id, scopes, label, expires_at)
SELECT $1, $2, owner_id, id, '{agent}', $4, $5 FROM workspace WHERE id = $3
RETURNING *

-- name: add_host_token
-- $1 id, $2 digest, $3 scopes, $4 label, $5 when it expires, or NULL
INSERT INTO access_token (id, digest, scopes, label, expires_at) VALUES ($1, $2, $3, $4, $5)
RETURNING *

-- name: token
-- By its hash, with the user that its workspace belongs to now. $1 digest
SELECT t.*, w.owner_id FROM access_token AS t LEFT JOIN workspace AS w ON w.id = t.workspace_id WHERE t.digest = $1

-- name: tokens
-- Those that were revoked or expired included, oldest first. $1 workspace, or NULL for all
SELECT * FROM access_token WHERE $1::text IS NULL OR workspace_id = $1 ORDER BY created_at, id

-- name: revoke_token
-- For good; twice is once. $1 id
UPDATE access_token SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id

-- name: server_version
-- As people say it, e.g. 18.6
SELECT split_part(current_setting('server_version'), ' ', 1)

-- name: dump
-- Every row of every table of ours and of the host's minimal ones, as text.
SELECT concat_ws(E'\n',
    (SELECT string_agg(t::text, E'\n') FROM "user" AS t),
    (SELECT string_agg(t::text, E'\n') FROM workspace AS t),
    (SELECT string_agg(t::text, E'\n') FROM subscription AS t),
    (SELECT string_agg(t::text, E'\n') FROM managed_database AS t),
    (SELECT string_agg(t::text, E'\n') FROM user_db_budget AS t),
    (SELECT string_agg(t::text, E'\n') FROM access_token AS t),
    (SELECT string_agg(t::text, E'\n') FROM agentdb_audit.chain AS t),
    (SELECT string_agg(t::text, E'\n') FROM agentdb_audit.record AS t),
    (SELECT string_agg(t::text, E'\n') FROM schema_version AS t),
    (SELECT string_agg(t::text, E'\n') FROM schema_change AS t),
    (SELECT string_agg(t::text, E'\n') FROM schema_migration AS t))

-- name: budget
-- What was metered of a user's costs, if it ever was. $1 user
SELECT coalesce(total_cost_cents, 0) AS spent, custom_budget_cents, budget_exceeded,
       last_sync AT TIME ZONE 'UTC' AS as_of
  FROM user_db_budget WHERE user_id = $1 AND last_sync IS NOT NULL

-- name: seen_schema
-- $1 database
SELECT version, mark FROM schema_version WHERE database_id = $1

-- name: latest_shape
-- $1 database
SELECT version, mark, shape FROM schema_version WHERE database_id = $1

-- name: record_shape
-- The version after the one it was compared with, unless another has become the latest meanwhile; what only the
-- oldest changed is forgotten. $1 database, $2 version it was compared with, $3 mark, $4 shape, $5 changes or NULL,
-- $6 how many versions are kept
WITH recorded AS (
    INSERT INTO schema_version AS latest (database_id, version, mark, shape)
    SELECT id, $2::int + 1, $3, $4 FROM managed_database WHERE id = $1 AND desired_state <> 'deleted'
        ON CONFLICT (database_id) DO UPDATE
        SET version = excluded.version, mark = excluded.mark, shape = excluded.shape, seen_at = now()
        WHERE latest.version = $2::int
    RETURNING database_id, version
), told AS (
    INSERT INTO schema_change (database_id, version, changes) SELECT database_id, version, $5 FROM recorded
), forgotten AS (
    DELETE FROM schema_change AS old USING recorded
     WHERE old.database_id = recorded.database_id AND old.version <= recorded.version - $6::int
)
SELECT version FROM recorded

-- name: schema_changes
-- $1 database, $2 version
SELECT version, changes, seen_at FROM schema_change WHERE database_id = $1 AND version > $2::int ORDER BY version

-- name: forget_calls
-- A few that are older than anybody repeats. $1 days
DELETE FROM host_call
 WHERE key IN (SELECT key FROM host_call WHERE begun_at < now() - make_interval(days => $1)
                ORDER BY begun_at LIMIT 100 FOR UPDATE SKIP LOCKED)

-- name: begin_call
-- Takes a key that is free, or whose call was left by a process that died. $1 the caller and its key, $2 digest, $3 seconds
INSERT INTO host_call AS c (key, digest) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET begun_at = now()
 WHERE c.answer IS NULL AND c.digest = excluded.digest AND c.begun_at < now() - make_interval(secs => $3)
RETURNING key

-- name: call
-- $1 key
SELECT digest, answer::text AS answer FROM host_call WHERE key = $1

-- name: finish_call
-- $1 key, $2 answer
UPDATE host_call SET answer = $2::text::jsonb WHERE key = $1

-- name: drop_call
-- $1 key
DELETE FROM host_call WHERE key = $1 AND answer IS NULL

-- name: take_turn
-- The next turn, in so many seconds; no row when it is further off than one would wait. Whoever comes next finds
-- the time after it, waited or not. What lies beyond every hold was written before the clock was set back.
-- $1 rate, $2 seconds from one turn to the next, $3 seconds of rest made up for, $4 longest wait, $5 longest hold
INSERT INTO rate_budget AS b (name, next_at)
VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8 - $3::float8))
ON CONFLICT (name) DO UPDATE
   SET next_at = CASE WHEN b.next_at > clock_timestamp() + make_interval(secs => $5) THEN clock_timestamp()
                      ELSE greatest(b.next_at, clock_timestamp() - make_interval(secs => $3))
                 END + make_interval(secs => $2)
 WHERE b.next_at NOT BETWEEN clock_timestamp() + make_interval(secs => $4)
                         AND clock_timestamp() + make_interval(secs => $5)
RETURNING greatest(0, extract(epoch FROM next_at - make_interval(secs => $2) - clock_timestamp()))::float8

-- name: hold_turns
-- $1 rate, $2 seconds
INSERT INTO rate_budget AS b (name, next_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (name) DO UPDATE SET next_at = greatest(b.next_at, excluded.next_at)
