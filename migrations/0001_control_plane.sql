-- The control plane, first form.
--
-- The host's tables: a host that has its own keeps them, we only refer to their ids.
CREATE TABLE IF NOT EXISTS "user" (
    id text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS workspace (
    id text PRIMARY KEY,
    owner_id text NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    name text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS subscription (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    reference_id text NOT NULL,
    plan text NOT NULL DEFAULT 'free',
    status text NOT NULL DEFAULT 'active',
    UNIQUE (reference_id, id)   -- to look up by the first; an index on a host's table only the host can make
);

-- What every database has in common, wherever its row stands. The parent itself holds no row; reading or
-- updating it reaches all three children, so that there is one place per question (docs/adr/0003).
-- A row with a workspace is that workspace's agent database, one without is the user's global database.
CREATE TABLE managed_database (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text NOT NULL,       -- who owns and pays; kept here because a cascade removes the host's row first
    workspace_id text,
    ownership_type text NOT NULL DEFAULT 'platform' CHECK (ownership_type IN ('platform', 'user')),
    provider text NOT NULL,
    neon_project_id text,        -- the provider's handle; a Postgres server's is the database's name
    neon_branch_id text,
    neon_connection_uri text,    -- the owner's, sealed; NULL where the owner cannot log in
    writer_connection_uri text,  -- sealed
    reader_connection_uri text,  -- sealed
    database_name text NOT NULL DEFAULT 'neondb',
    current_period_cost_cents integer DEFAULT 0,
    last_consumption_sync timestamp,
    created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp,
    paused_by text[] NOT NULL DEFAULT '{}' CHECK (paused_by <@ ARRAY['operator', 'budget', 'archived']),
    protected boolean NOT NULL DEFAULT false,   -- refuses to be deleted
    deleted_at timestamptz,      -- in a tombstone only
    delete_after timestamptz,    -- in a tombstone only: until then it is kept at the provider, paused
    -- What is wanted follows from the reasons above; nobody writes it.
    desired_state text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN deleted_at IS NOT NULL THEN 'deleted' WHEN paused_by <> '{}' THEN 'paused' ELSE 'active' END
    ) STORED,
    observed_state text NOT NULL DEFAULT 'unknown'
        CHECK (observed_state IN ('unknown', 'active', 'paused', 'deleted')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_token text,
    lease_expires_at timestamptz,
    last_error text,             -- a stable error code, never a driver's text
    CONSTRAINT managed_database_parent_is_empty CHECK (false) NO INHERIT
);

CREATE TABLE user_global_database (
    PRIMARY KEY (id),
    UNIQUE (user_id),
    FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
    CHECK (workspace_id IS NULL),
    CHECK (deleted_at IS NULL)
) INHERITS (managed_database);
CREATE INDEX idx_user_global_database_user_id ON user_global_database (user_id);

CREATE TABLE workspace_database (
    workspace_id text NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (workspace_id),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id) ON DELETE CASCADE,
    CHECK (deleted_at IS NULL)
) INHERITS (managed_database);
CREATE INDEX idx_workspace_database_workspace_id ON workspace_database (workspace_id);
CREATE INDEX idx_workspace_database_user_id ON workspace_database (user_id);

-- A database that is wanted gone, and the only place where that is wanted. It outlives the user's or the
-- workspace's row, because it is the only pointer to something that may still cost money.
CREATE TABLE database_tombstone (
    deleted_at timestamptz NOT NULL DEFAULT now(),
    delete_after timestamptz NOT NULL DEFAULT now(),
    final_usage jsonb,           -- the provider's last figures, read before it was told to delete
    PRIMARY KEY (id)
) INHERITS (managed_database);
CREATE INDEX idx_database_tombstone_open ON database_tombstone (next_attempt_at) WHERE observed_state <> 'deleted';
CREATE INDEX idx_database_tombstone_over ON database_tombstone (updated_at) WHERE observed_state = 'deleted';

-- How long what is deleted is kept at its provider: one value for every process, and for a host's own DELETE.
CREATE TABLE delete_policy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    grace interval NOT NULL DEFAULT '0'
);
INSERT INTO delete_policy DEFAULT VALUES;

-- Whether a tombstone's database stays at the provider, paused, for now.
CREATE FUNCTION is_kept(deleted_at timestamptz, protected boolean, delete_after timestamptz) RETURNS boolean
    LANGUAGE sql STABLE AS 'SELECT deleted_at IS NOT NULL AND (protected OR delete_after > now())';

-- What a search for orphans found and no row speaks of, and since when. It is deleted only after people had the
-- time to notice: a control plane that was restored from an old backup does not know its youngest databases.
CREATE TABLE orphan_sighting (
    provider text NOT NULL,
    project_id text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, project_id)
);

CREATE TABLE user_db_budget (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    user_id text NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    custom_budget_cents integer,
    budget_exceeded boolean NOT NULL DEFAULT false,
    current_period_start timestamp NOT NULL DEFAULT now(),
    total_cost_cents integer DEFAULT 0,
    last_sync timestamp,
    created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp,
    UNIQUE (user_id)
);
CREATE INDEX idx_user_db_budget_user_id ON user_db_budget (user_id);
CREATE INDEX idx_user_db_budget_exceeded ON user_db_budget (budget_exceeded);

-- The tombstone is written by the database itself, in the transaction that removes the row: also when a host
-- deletes its user or workspace without asking us and only the cascade fires. Credentials are not carried over,
-- and a database that belongs to the user is left alone. A cascade runs as whoever deletes, with their search
-- path and time zone; the tombstone is ours whoever that is.
CREATE FUNCTION bury_database() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
    made boolean := OLD.neon_project_id IS NOT NULL;   -- else there is nothing in it to be kept
BEGIN
    IF OLD.ownership_type = 'platform' THEN
        INSERT INTO database_tombstone (
            id, user_id, workspace_id, ownership_type, provider, neon_project_id, neon_branch_id, database_name,
            current_period_cost_cents, last_consumption_sync, created_at, updated_at, paused_by, protected,
            delete_after, lease_token, lease_expires_at
        ) VALUES (
            OLD.id, OLD.user_id, OLD.workspace_id, OLD.ownership_type, OLD.provider, OLD.neon_project_id,
            OLD.neon_branch_id, OLD.database_name, OLD.current_period_cost_cents, OLD.last_consumption_sync,
            OLD.created_at, now(), OLD.paused_by, OLD.protected AND made,
            now() + CASE WHEN made THEN (SELECT grace FROM delete_policy) ELSE '0' END,
            OLD.lease_token, OLD.lease_expires_at
        );
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION bury_database() FROM PUBLIC;
CREATE TRIGGER bury_database AFTER DELETE ON user_global_database
    FOR EACH ROW EXECUTE FUNCTION bury_database();
CREATE TRIGGER bury_database AFTER DELETE ON workspace_database
    FOR EACH ROW EXECUTE FUNCTION bury_database();

-- Servers keep what they resolved in memory and forget it when this channel speaks (docs/adr/0006). What only
-- the reconciler or the meter cares about is not worth saying.
CREATE FUNCTION announce_database() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agentdb_database', COALESCE(NEW.id, OLD.id));
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_database AFTER INSERT OR DELETE OR UPDATE OF
    user_id, workspace_id, paused_by, observed_state, writer_connection_uri, reader_connection_uri
    ON user_global_database FOR EACH ROW EXECUTE FUNCTION announce_database();
CREATE TRIGGER announce_database AFTER INSERT OR DELETE OR UPDATE OF
    user_id, workspace_id, paused_by, observed_state, writer_connection_uri, reader_connection_uri
    ON workspace_database FOR EACH ROW EXECUTE FUNCTION announce_database();

-- Who owns a workspace decides what its agent reaches, also when the host gives it to someone else.
CREATE FUNCTION announce_workspace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agentdb_database', NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_workspace AFTER UPDATE OF owner_id ON workspace
    FOR EACH ROW EXECUTE FUNCTION announce_workspace();
