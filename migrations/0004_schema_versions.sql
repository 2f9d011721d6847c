-- What the tables of agents' databases look like, so that a change of them has a number and can be told
-- (docs/adr/0012). Names and types, never rows. Kept small: one shape for each database, and of its
-- latest versions what they changed.
CREATE TABLE schema_version (
    database_id text PRIMARY KEY,   -- no foreign key: databases' rows stand in several tables
    version integer NOT NULL,
    mark text NOT NULL,             -- digest of the shape
    shape text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE schema_change (
    database_id text NOT NULL REFERENCES schema_version (database_id) ON DELETE CASCADE,
    version integer NOT NULL,
    changes text,                   -- NULL: too much to keep
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (database_id, version)
);

-- Every server hears of every version, so that results carry it without a look-up.
CREATE FUNCTION announce_schema() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agentdb_schema', concat_ws(' ', NEW.database_id, NEW.version, NEW.mark));
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_schema AFTER INSERT OR UPDATE ON schema_version
    FOR EACH ROW EXECUTE FUNCTION announce_schema();

-- They go with their database, whoever deletes it: also when only a cascade from a host's row fires.
CREATE FUNCTION forget_schema() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM schema_version WHERE database_id = OLD.id;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION forget_schema() FROM PUBLIC;
CREATE TRIGGER forget_schema AFTER DELETE ON user_global_database
    FOR EACH ROW EXECUTE FUNCTION forget_schema();
CREATE TRIGGER forget_schema AFTER DELETE ON workspace_database
    FOR EACH ROW EXECUTE FUNCTION forget_schema();
