CREATE TABLE access_token (
    id text NOT NULL,
    digest bytea NOT NULL,
    user_id text,
    workspace_id text,
    scopes text[] NOT NULL,
    label text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT access_token_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT access_token_digest_key UNIQUE (digest),
    CONSTRAINT access_token_pkey PRIMARY KEY (id),
    CONSTRAINT access_token_scopes_check CHECK (
CASE
    WHEN (workspace_id IS NOT NULL) THEN ((user_id IS NOT NULL) AND (scopes = '{agent}'::text[]))
    ELSE ((user_id IS NULL) AND (cardinality(scopes) > 0) AND (scopes <@ '{lifecycle,reveal}'::text[]))
END),
    CONSTRAINT access_token_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspace(id) ON DELETE CASCADE
);

CREATE TABLE agentdb_audit.chain (
    id integer NOT NULL,
    tenant text NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    hash bytea NOT NULL,
    cut_seq bigint DEFAULT 0 NOT NULL,
    cut_hash bytea NOT NULL,
    cut_at timestamp with time zone,
    cut_why text,
    CONSTRAINT chain_check CHECK (((cut_seq >= 0) AND (cut_seq <= seq))),
    CONSTRAINT chain_pkey PRIMARY KEY (id),
    CONSTRAINT chain_tenant_key UNIQUE (tenant)
);

CREATE TABLE database_tombstone (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    user_id text NOT NULL,
    workspace_id text,
    ownership_type text DEFAULT 'platform'::text NOT NULL,
    provider text NOT NULL,
    neon_project_id text,
    neon_branch_id text,
    neon_connection_uri text,
    writer_connection_uri text,
    reader_connection_uri text,
    database_name text DEFAULT 'neondb'::text NOT NULL,
    current_period_cost_cents integer DEFAULT 0,
    last_consumption_sync timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone,
    paused_by text[] DEFAULT '{}'::text[] NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    deleted_at timestamp with time zone DEFAULT now() NOT NULL,
    delete_after timestamp with time zone DEFAULT now() NOT NULL,
    desired_state text DEFAULT 
CASE
    WHEN (deleted_at IS NOT NULL) THEN 'deleted'::text
    WHEN (paused_by <> '{}'::text[]) THEN 'paused'::text
    ELSE 'active'::text
END NOT NULL,
    observed_state text DEFAULT 'unknown'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_token text,
    lease_expires_at timestamp with time zone,
    last_error text,
    final_usage jsonb,
    doubted boolean DEFAULT false NOT NULL,
    CONSTRAINT database_tombstone_pkey PRIMARY KEY (id),
    CONSTRAINT managed_database_observed_state_check CHECK ((observed_state = ANY (ARRAY['unknown'::text, 'active'::text, 'paused'::text, 'deleted'::text]))),
    CONSTRAINT managed_database_ownership_type_check CHECK ((ownership_type = ANY (ARRAY['platform'::text, 'user'::text]))),
    CONSTRAINT managed_database_paused_by_check CHECK ((paused_by <@ ARRAY['operator'::text, 'budget'::text, 'archived'::text]))
) INHERITS (managed_database);

CREATE TABLE delete_policy (
    only_row boolean DEFAULT true NOT NULL,
    grace interval DEFAULT '00:00:00'::interval NOT NULL,
    CONSTRAINT delete_policy_only_row_check CHECK (only_row),
    CONSTRAINT delete_policy_pkey PRIMARY KEY (only_row)
);

CREATE TABLE host_call (
    key text NOT NULL,
    digest bytea NOT NULL,
    answer jsonb,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT host_call_pkey PRIMARY KEY (key)
);

CREATE TABLE installation (
    is_one boolean DEFAULT true NOT NULL,
    mark text DEFAULT "left"((gen_random_uuid())::text, 8) NOT NULL,
    CONSTRAINT installation_is_one_check CHECK (is_one),
    CONSTRAINT installation_pkey PRIMARY KEY (is_one)
);

CREATE TABLE managed_database (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    user_id text NOT NULL,
    workspace_id text,
    ownership_type text DEFAULT 'platform'::text NOT NULL,
    provider text NOT NULL,
    neon_project_id text,
    neon_branch_id text,
    neon_connection_uri text,
    writer_connection_uri text,
    reader_connection_uri text,
    database_name text DEFAULT 'neondb'::text NOT NULL,
    current_period_cost_cents integer DEFAULT 0,
    last_consumption_sync timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone,
    paused_by text[] DEFAULT '{}'::text[] NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    deleted_at timestamp with time zone,
    delete_after timestamp with time zone,
    desired_state text DEFAULT 
CASE
    WHEN (deleted_at IS NOT NULL) THEN 'deleted'::text
    WHEN (paused_by <> '{}'::text[]) THEN 'paused'::text
    ELSE 'active'::text
END NOT NULL,
    observed_state text DEFAULT 'unknown'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_token text,
    lease_expires_at timestamp with time zone,
    last_error text,
    doubted boolean DEFAULT false NOT NULL,
    CONSTRAINT managed_database_observed_state_check CHECK ((observed_state = ANY (ARRAY['unknown'::text, 'active'::text, 'paused'::text, 'deleted'::text]))),
    CONSTRAINT managed_database_ownership_type_check CHECK ((ownership_type = ANY (ARRAY['platform'::text, 'user'::text]))),
    CONSTRAINT managed_database_parent_is_empty CHECK (false) NO INHERIT,
    CONSTRAINT managed_database_paused_by_check CHECK ((paused_by <@ ARRAY['operator'::text, 'budget'::text, 'archived'::text]))
);

CREATE TABLE orphan_sighting (
    provider text NOT NULL,
    project_id text NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT orphan_sighting_pkey PRIMARY KEY (provider, project_id)
);

CREATE UNLOGGED TABLE rate_budget (
    name text NOT NULL,
    next_at timestamp with time zone NOT NULL,
    CONSTRAINT rate_budget_pkey PRIMARY KEY (name)
);

CREATE TABLE agentdb_audit.record (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    micros bigint,
    rows bigint,
    bytes bigint,
    cost_micros bigint,
    chain integer NOT NULL,
    actor text NOT NULL,
    workspace text,
    kind text,
    database text,
    tool text NOT NULL,
    class text,
    fingerprint bytea,
    digest bytea,
    statement text,
    outcome text NOT NULL,
    reason text,
    request bytea,
    hash bytea NOT NULL,
    CONSTRAINT record_pkey PRIMARY KEY (chain, seq)
);

CREATE TABLE schema_change (
    database_id text NOT NULL,
    version integer NOT NULL,
    changes text,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT schema_change_database_id_fkey FOREIGN KEY (database_id) REFERENCES schema_version(database_id) ON DELETE CASCADE,
    CONSTRAINT schema_change_pkey PRIMARY KEY (database_id, version)
);

CREATE TABLE schema_migration (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT schema_migration_pkey PRIMARY KEY (version)
);

CREATE TABLE schema_version (
    database_id text NOT NULL,
    version integer NOT NULL,
    mark text NOT NULL,
    shape text NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT schema_version_pkey PRIMARY KEY (database_id)
);

CREATE TABLE subscription (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    reference_id text NOT NULL,
    plan text DEFAULT 'free'::text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    CONSTRAINT subscription_pkey PRIMARY KEY (id),
    CONSTRAINT subscription_reference_id_id_key UNIQUE (reference_id, id)
);

CREATE TABLE "user" (
    id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_pkey PRIMARY KEY (id)
);

CREATE TABLE user_db_budget (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    user_id text NOT NULL,
    custom_budget_cents integer,
    budget_exceeded boolean DEFAULT false NOT NULL,
    current_period_start timestamp without time zone DEFAULT now() NOT NULL,
    total_cost_cents integer DEFAULT 0,
    last_sync timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone,
    CONSTRAINT user_db_budget_pkey PRIMARY KEY (id),
    CONSTRAINT user_db_budget_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
    CONSTRAINT user_db_budget_user_id_key UNIQUE (user_id)
);

CREATE TABLE user_global_database (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    user_id text NOT NULL,
    workspace_id text,
    ownership_type text DEFAULT 'platform'::text NOT NULL,
    provider text NOT NULL,
    neon_project_id text,
    neon_branch_id text,
    neon_connection_uri text,
    writer_connection_uri text,
    reader_connection_uri text,
    database_name text DEFAULT 'neondb'::text NOT NULL,
    current_period_cost_cents integer DEFAULT 0,
    last_consumption_sync timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone,
    paused_by text[] DEFAULT '{}'::text[] NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    deleted_at timestamp with time zone,
    delete_after timestamp with time zone,
    desired_state text DEFAULT 
CASE
    WHEN (deleted_at IS NOT NULL) THEN 'deleted'::text
    WHEN (paused_by <> '{}'::text[]) THEN 'paused'::text
    ELSE 'active'::text
END NOT NULL,
    observed_state text DEFAULT 'unknown'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_token text,
    lease_expires_at timestamp with time zone,
    last_error text,
    doubted boolean DEFAULT false NOT NULL,
    CONSTRAINT managed_database_observed_state_check CHECK ((observed_state = ANY (ARRAY['unknown'::text, 'active'::text, 'paused'::text, 'deleted'::text]))),
    CONSTRAINT managed_database_ownership_type_check CHECK ((ownership_type = ANY (ARRAY['platform'::text, 'user'::text]))),
    CONSTRAINT managed_database_paused_by_check CHECK ((paused_by <@ ARRAY['operator'::text, 'budget'::text, 'archived'::text])),
    CONSTRAINT user_global_database_deleted_at_check CHECK ((deleted_at IS NULL)),
    CONSTRAINT user_global_database_pkey PRIMARY KEY (id),
    CONSTRAINT user_global_database_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
    CONSTRAINT user_global_database_user_id_key UNIQUE (user_id),
    CONSTRAINT user_global_database_workspace_id_check CHECK ((workspace_id IS NULL))
) INHERITS (managed_database);

CREATE TABLE workspace (
    id text NOT NULL,
    owner_id text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT workspace_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES "user"(id) ON DELETE CASCADE,
    CONSTRAINT workspace_pkey PRIMARY KEY (id)
);

CREATE TABLE workspace_database (
    id text DEFAULT (gen_random_uuid())::text NOT NULL,
    user_id text NOT NULL,
    workspace_id text NOT NULL,
    ownership_type text DEFAULT 'platform'::text NOT NULL,
    provider text NOT NULL,
    neon_project_id text,
    neon_branch_id text,
    neon_connection_uri text,
    writer_connection_uri text,
    reader_connection_uri text,
    database_name text DEFAULT 'neondb'::text NOT NULL,
    current_period_cost_cents integer DEFAULT 0,
    last_consumption_sync timestamp without time zone,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    updated_at timestamp without time zone,
    paused_by text[] DEFAULT '{}'::text[] NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    deleted_at timestamp with time zone,
    delete_after timestamp with time zone,
    desired_state text DEFAULT 
CASE
    WHEN (deleted_at IS NOT NULL) THEN 'deleted'::text
    WHEN (paused_by <> '{}'::text[]) THEN 'paused'::text
    ELSE 'active'::text
END NOT NULL,
    observed_state text DEFAULT 'unknown'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_token text,
    lease_expires_at timestamp with time zone,
    last_error text,
    doubted boolean DEFAULT false NOT NULL,
    CONSTRAINT managed_database_observed_state_check CHECK ((observed_state = ANY (ARRAY['unknown'::text, 'active'::text, 'paused'::text, 'deleted'::text]))),
    CONSTRAINT managed_database_ownership_type_check CHECK ((ownership_type = ANY (ARRAY['platform'::text, 'user'::text]))),
    CONSTRAINT managed_database_paused_by_check CHECK ((paused_by <@ ARRAY['operator'::text, 'budget'::text, 'archived'::text])),
    CONSTRAINT workspace_database_deleted_at_check CHECK ((deleted_at IS NULL)),
    CONSTRAINT workspace_database_pkey PRIMARY KEY (id),
    CONSTRAINT workspace_database_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspace(id) ON DELETE CASCADE,
    CONSTRAINT workspace_database_workspace_id_key UNIQUE (workspace_id)
) INHERITS (managed_database);

CREATE INDEX idx_access_token_workspace_id ON public.access_token USING btree (workspace_id);

CREATE INDEX idx_database_tombstone_open ON public.database_tombstone USING btree (next_attempt_at) WHERE (observed_state <> 'deleted'::text);

CREATE INDEX idx_database_tombstone_over ON public.database_tombstone USING btree (updated_at) WHERE (observed_state = 'deleted'::text);

CREATE INDEX idx_host_call_begun_at ON public.host_call USING btree (begun_at);

CREATE INDEX idx_user_db_budget_exceeded ON public.user_db_budget USING btree (budget_exceeded);

CREATE INDEX idx_user_db_budget_user_id ON public.user_db_budget USING btree (user_id);

CREATE INDEX idx_user_global_database_user_id ON public.user_global_database USING btree (user_id);

CREATE INDEX idx_workspace_database_user_id ON public.workspace_database USING btree (user_id);

CREATE INDEX idx_workspace_database_workspace_id ON public.workspace_database USING btree (workspace_id);

CREATE OR REPLACE FUNCTION agentdb_audit.append(batch jsonb, again boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    owner text;
    entries jsonb;
    entry agentdb_audit.record;
    head agentdb_audit.chain;
    start bytea;
    written bigint := 0;
BEGIN
    FOR owner, entries IN SELECT key, value FROM jsonb_each(batch) LOOP  -- in the same order whoever calls
        SELECT * INTO head FROM agentdb_audit.chain WHERE tenant = owner FOR UPDATE;
        IF NOT FOUND THEN
            start := sha256(convert_to(json_build_array('agentdb audit 1', owner)::text, 'UTF8'));
            INSERT INTO agentdb_audit.chain (tenant, hash, cut_hash) VALUES (owner, start, start)
                ON CONFLICT (tenant) DO NOTHING;
            SELECT * INTO STRICT head FROM agentdb_audit.chain WHERE tenant = owner FOR UPDATE;
        END IF;
        FOR entry IN SELECT * FROM jsonb_populate_recordset(NULL::agentdb_audit.record, entries) LOOP
            CONTINUE WHEN again AND EXISTS (
                SELECT FROM agentdb_audit.record AS r
                 WHERE r.chain = head.id AND r.seq > head.seq - 10000
                   AND r.request = entry.request AND r.outcome = entry.outcome
            );
            entry.chain := head.id;
            entry.seq := head.seq + 1;
            entry.at := least(entry.at, clock_timestamp());
            entry.hash := agentdb_audit.hash_of(entry, head.hash);
            INSERT INTO agentdb_audit.record SELECT entry.*;
            head.seq := entry.seq;
            head.hash := entry.hash;
            written := written + 1;
        END LOOP;
        UPDATE agentdb_audit.chain SET seq = head.seq, hash = head.hash WHERE id = head.id;
    END LOOP;
    RETURN written;
END
$function$
;

CREATE OR REPLACE FUNCTION agentdb_audit.hash_of(entry agentdb_audit.record, before bytea)
 RETURNS bytea
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN sha256(before || convert_to(json_build_array(
        entry.seq, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor, entry.workspace, entry.kind,
        entry.database, entry.tool, entry.class, encode(entry.fingerprint, 'hex'), encode(entry.digest, 'hex'),
        entry.statement, entry.outcome, entry.reason, entry.rows, entry.bytes, entry.micros, entry.cost_micros,
        encode(entry.request, 'hex')
    )::text, 'UTF8'));
END
$function$
;

CREATE OR REPLACE FUNCTION agentdb_audit.prune(owner text, before timestamp with time zone, keep bigint, most bigint, why text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    head agentdb_audit.chain;
    reach bigint;
    cut bigint;
BEGIN
    SELECT * INTO head FROM agentdb_audit.chain WHERE tenant = owner FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    reach := least(head.cut_seq + most, head.seq);
    SELECT coalesce(min(seq) - 1, reach) INTO cut FROM agentdb_audit.record
     WHERE chain = head.id AND seq BETWEEN head.cut_seq + 1 AND reach
       AND at >= least(before, now() - interval '1 day');
    cut := least(reach, greatest(cut, head.seq - greatest(keep, 10000)));
    IF cut <= head.cut_seq OR cut - head.cut_seq > (
        SELECT count(*) FROM agentdb_audit.record
         WHERE chain = head.id AND seq BETWEEN head.cut_seq + 1 AND cut
    ) THEN
        RETURN 0;
    END IF;
    UPDATE agentdb_audit.chain AS c SET cut_seq = cut, cut_hash = r.hash, cut_at = now(), cut_why = why
      FROM agentdb_audit.record AS r WHERE c.id = head.id AND r.chain = head.id AND r.seq = cut;
    DELETE FROM agentdb_audit.record WHERE chain = head.id AND seq <= cut;
    RETURN cut - head.cut_seq;
END
$function$
;

CREATE OR REPLACE FUNCTION agentdb_audit.refuse()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'record' THEN
        IF EXISTS (SELECT FROM agentdb_audit.chain WHERE id = OLD.chain AND cut_seq >= OLD.seq) THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'chain' THEN
        IF (NEW.id, NEW.tenant) = (OLD.id, OLD.tenant)
            AND (NEW.seq > OLD.seq OR (NEW.seq, NEW.hash) = (OLD.seq, OLD.hash))
            AND (NEW.cut_seq > OLD.cut_seq OR (NEW.cut_seq, NEW.cut_hash) = (OLD.cut_seq, OLD.cut_hash)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'insufficient_privilege';
END
$function$
;

CREATE OR REPLACE FUNCTION public.announce_database()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('agentdb_database', COALESCE(NEW.id, OLD.id));
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.announce_schema()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('agentdb_schema', concat_ws(' ', NEW.database_id, NEW.version, NEW.mark));
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.announce_token()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('agentdb_database', OLD.id);
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.announce_workspace()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('agentdb_database', NEW.id);
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.bury_database()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.forget_schema()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    DELETE FROM schema_version WHERE database_id = OLD.id;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.is_kept(deleted_at timestamp with time zone, protected boolean, delete_after timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$SELECT deleted_at IS NOT NULL AND (protected OR delete_after > now())$function$
;

CREATE TRIGGER announce_database AFTER INSERT OR DELETE OR UPDATE OF user_id, workspace_id, paused_by, observed_state, writer_connection_uri, reader_connection_uri ON public.user_global_database FOR EACH ROW EXECUTE FUNCTION announce_database();

CREATE TRIGGER announce_database AFTER INSERT OR DELETE OR UPDATE OF user_id, workspace_id, paused_by, observed_state, writer_connection_uri, reader_connection_uri ON public.workspace_database FOR EACH ROW EXECUTE FUNCTION announce_database();

CREATE TRIGGER announce_schema AFTER INSERT OR UPDATE ON public.schema_version FOR EACH ROW EXECUTE FUNCTION announce_schema();

CREATE TRIGGER announce_token AFTER DELETE OR UPDATE ON public.access_token FOR EACH ROW EXECUTE FUNCTION announce_token();

CREATE TRIGGER announce_workspace AFTER UPDATE OF owner_id ON public.workspace FOR EACH ROW EXECUTE FUNCTION announce_workspace();

CREATE TRIGGER bury_database AFTER DELETE ON public.user_global_database FOR EACH ROW EXECUTE FUNCTION bury_database();

CREATE TRIGGER bury_database AFTER DELETE ON public.workspace_database FOR EACH ROW EXECUTE FUNCTION bury_database();

CREATE TRIGGER forget_schema AFTER DELETE ON public.user_global_database FOR EACH ROW EXECUTE FUNCTION forget_schema();

CREATE TRIGGER forget_schema AFTER DELETE ON public.workspace_database FOR EACH ROW EXECUTE FUNCTION forget_schema();

CREATE TRIGGER refuse BEFORE DELETE OR UPDATE ON agentdb_audit.chain FOR EACH ROW EXECUTE FUNCTION agentdb_audit.refuse();

CREATE TRIGGER refuse BEFORE DELETE OR UPDATE ON agentdb_audit.record FOR EACH ROW EXECUTE FUNCTION agentdb_audit.refuse();

CREATE TRIGGER refuse_all BEFORE TRUNCATE ON agentdb_audit.chain FOR EACH STATEMENT EXECUTE FUNCTION agentdb_audit.refuse();

CREATE TRIGGER refuse_all BEFORE TRUNCATE ON agentdb_audit.record FOR EACH STATEMENT EXECUTE FUNCTION agentdb_audit.refuse();
