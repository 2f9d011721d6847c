-- Gives the audit trail to an owner whom nobody signs in as; the role that serves may then only read it, and call
-- what appends and prunes. A superuser runs this, in the control plane's database, as often as he likes.
-- "serving_role" stands for the user of AGENTDB_CONTROL_URL.
SELECT pg_advisory_xact_lock(7018690069353751137);
DO $$
BEGIN
    CREATE ROLE agentdb_audit NOLOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object THEN
    NULL;
END
$$;
REVOKE agentdb_audit FROM "serving_role";
ALTER SCHEMA agentdb_audit OWNER TO agentdb_audit;
ALTER TABLE agentdb_audit.chain OWNER TO agentdb_audit;
ALTER TABLE agentdb_audit.record OWNER TO agentdb_audit;
ALTER FUNCTION agentdb_audit.hash_of OWNER TO agentdb_audit;
ALTER FUNCTION agentdb_audit.append OWNER TO agentdb_audit;
ALTER FUNCTION agentdb_audit.prune OWNER TO agentdb_audit;
ALTER FUNCTION agentdb_audit.refuse OWNER TO agentdb_audit;
GRANT USAGE ON SCHEMA agentdb_audit TO "serving_role";
GRANT SELECT ON agentdb_audit.chain, agentdb_audit.record TO "serving_role";
GRANT EXECUTE ON FUNCTION agentdb_audit.append, agentdb_audit.prune TO "serving_role";
