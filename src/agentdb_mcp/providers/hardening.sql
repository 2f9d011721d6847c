-- What PostgreSQL lets every role do by default and no tenant's role needs. A superuser runs this in the template
-- that tenants' databases are copied from, and again in a database it mends, with search_path = pg_catalog:
-- nothing of a tenant's is ever called. All of it can be run twice.

-- Built-in functions. What starts with pg_ or lo_ is refused unless it is named here, so that a function new in a
-- later PostgreSQL is refused until somebody has looked at it. Immutable ones reach nothing beyond their arguments.
-- set_config stays: drivers call it. pg_terminate_backend stays: PostgreSQL holds it to backends of the same role,
-- and it ends an agent's own statement that swallowed its timeout.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
          AND provolatile <> 'i'
          AND (
              proname ~ '^(pg_|lo_|binary_upgrade_|brin_(de)?summarize_|gin_clean_)'
              OR proname ~ '^(cursor|query|table|schema|database)_to_xml'
              OR proname IN ('loread', 'lowrite', 'ts_stat', 'ts_rewrite', 'currtid2', 'txid_status')
              OR proname ~ '^inet_(server|client)_'
          )
          AND proname !~ ('^pg_(' || array_to_string(ARRAY[
              -- describing one's own objects
              'get_(expr|userbyid|keywords|serial_sequence|functiondef|indexdef|viewdef|ruledef|triggerdef)',
              'get_(constraintdef|partkeydef|partition_constraintdef|statisticsobjdef.*|function_.*)',
              'get_(catalog_foreign_keys|replica_identity_index|sequence_data)',
              '.*_is_visible', 'has_role', 'typeof', 'basetype', 'collation_for', 'options_to_table',
              'column_(size|compression|is_updatable)', 'relation_(size|is_updatable|is_publishable)',
              '(table|indexes|total_relation)_size', 'sequence_(last_value|parameters)',
              'index(am)?_.*has_property', 'partition_(tree|ancestors)', 'mcv_list_items', 'input_.*',
              'available_extension.*', 'extension_update_paths', 'event_trigger_.*', 'trigger_depth',
              'stat_get_(numscans|lastscan|live_tuples|dead_tuples|mod_since_analyze|ins_since_vacuum)',
              'stat_get_(tuples_.*|blocks_(fetched|hit)|last_.*|xact_.*|function_.*)',
              'stat_get_(auto)?(vacuum|analyze)_count', 'stat_get_total_(auto)?(vacuum|analyze)_time',
              -- one's own session and transaction
              'backend_pid', 'client_encoding', 'my_temp_schema', 'is_other_temp_schema', 'cursor',
              'prepared_statement', 'current_snapshot', 'current_xact_id.*', 'is_in_recovery', 'terminate_backend',
              -- general use; time is limited by statement_timeout
              'char_to_encoding', 'encoding_to_char', 'timezone_.*', 'sleep.*', '.*_(recv|send)'
          ], '|') || ')$')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END
$$;

-- Catalogs that show more than this database: all that servers share, the server's activity, its settings.
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'pg_catalog'::regnamespace
          AND relkind IN ('r', 'v')
          AND (
              relisshared
              OR relname ~ '^pg_stat(io)?_' AND relname !~ '^pg_stat(io)?_(xact_)?(all|sys|user)_'
                 AND relname !~ '^pg_statistic'
              OR relname IN ('pg_roles', 'pg_user', 'pg_group', 'pg_locks', 'pg_settings', 'pg_prepared_xacts',
                             'pg_replication_slots', 'pg_user_mappings', 'pg_largeobject_metadata')
          )
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', relation);
    END LOOP;
END
$$;

-- information_schema.columns asks pg_database for this database's encoding, through a function that runs as whoever
-- asks. Agents read that view all the time; the same answer without the table keeps it working.
CREATE OR REPLACE FUNCTION information_schema._pg_char_octet_length(typid oid, typmod int4) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT
RETURN
    CASE WHEN $1 IN (25, 1042, 1043) THEN  -- text, bpchar, varchar
        CASE WHEN $2 = -1 THEN 1073741824
             ELSE information_schema._pg_char_max_length($1, $2)
                  * pg_encoding_max_length(pg_char_to_encoding(getdatabaseencoding()))
        END
    END;

-- PostgreSQL 14 still lets everybody create in "public".
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- The writer may create schemas, and that right would also install any extension marked as trusted (procedural
-- languages among them). IF NOT EXISTS of one that is there stays possible: nothing is created then.
CREATE SCHEMA IF NOT EXISTS extensions;
GRANT USAGE ON SCHEMA extensions TO PUBLIC;
CREATE OR REPLACE FUNCTION extensions.refuse_new_extension() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
    IF NOT current_setting('is_superuser')::boolean AND EXISTS (SELECT FROM pg_event_trigger_ddl_commands()) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'extensions are installed by the operator',
            HINT = 'Those in the schema "extensions" are ready to use.';
    END IF;
END
$$;
DROP EVENT TRIGGER IF EXISTS refuse_new_extension;
CREATE EVENT TRIGGER refuse_new_extension ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION extensions.refuse_new_extension();
