-- The audit trail: who asked what of which database, and what came of it (docs/explanation/audit.md).
--
-- A schema of its own, because whoever owns a schema may drop what is in it: store/audit_owner.sql gives this one,
-- where that can be done, to an owner whom nobody signs in as. What serves may then read, and call `append` and
-- `prune`, and nothing else. No index but the keys: a trail is written always and read seldom.
CREATE SCHEMA agentdb_audit;

-- One chain of records per user; '' is the installation's own. It outlives the user.
CREATE TABLE agentdb_audit.chain (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL UNIQUE,
    seq bigint NOT NULL DEFAULT 0,      -- the last record's number
    hash bytea NOT NULL,                -- and its hash; of an empty chain, where it begins
    cut_seq bigint NOT NULL DEFAULT 0,  -- records up to this one were pruned
    cut_hash bytea NOT NULL,            -- its hash, which the next record's was made with
    cut_at timestamptz,
    cut_why text,
    CHECK (cut_seq BETWEEN 0 AND seq)
);

-- No foreign key to the chain: `append` holds its row, and verifying finds what belongs to none.
CREATE TABLE agentdb_audit.record (
    seq bigint NOT NULL,        -- 1, 2, 3 … within the chain, without a gap
    at timestamptz NOT NULL,    -- when it was asked
    micros bigint,              -- how long it took, waiting included
    rows bigint,
    bytes bigint,
    cost_micros bigint,         -- millionths of a dollar; NULL: not priced
    chain integer NOT NULL,
    actor text NOT NULL,        -- agent, operator, or another that may ask
    workspace text,
    kind text,                  -- agent or global, also when the database was never reached
    database text,
    tool text NOT NULL,
    class text,                 -- what kind of act the guard found the statement to be
    fingerprint bytea,          -- the same for statements that differ only in their constants
    digest bytea,               -- SHA-256 of the statement's text
    statement text,             -- only where the operator wants it kept
    outcome text NOT NULL,      -- ok, cancelled, begun, gap, or an error's code
    reason text,                -- the guard's rule or the SQLSTATE
    request bytea,
    hash bytea NOT NULL,        -- SHA-256 over the hash before and all of the above
    PRIMARY KEY (chain, seq)
);

-- SHA-256 over the hash before and the record's values as a JSON list. core/audit.py makes it anew from the values:
-- verifying does not rest on what is defined here.
CREATE FUNCTION agentdb_audit.hash_of(entry agentdb_audit.record, before bytea) RETURNS bytea
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN sha256(before || convert_to(json_build_array(
        entry.seq, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor, entry.workspace, entry.kind,
        entry.database, entry.tool, entry.class, encode(entry.fingerprint, 'hex'), encode(entry.digest, 'hex'),
        entry.statement, entry.outcome, entry.reason, entry.rows, entry.bytes, entry.micros, entry.cost_micros,
        encode(entry.request, 'hex')
    )::text, 'UTF8'));
END
$$;

-- The only way in. `batch` holds a list of records for each tenant; they get their numbers and hashes here, under
-- the lock of the chain's row, so that any number of servers write one chain. `again` says that the batch may
-- have arrived before: what is among the last ten thousand already is left out.
CREATE FUNCTION agentdb_audit.append(batch jsonb, again boolean) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
$$;

-- The only way out: at most `most` of the oldest records, those from before a time or beyond a number. Whoever
-- calls, the last day and the last ten thousand stay (settings.py allows no less). A chain that lacks a record is
-- left as it is: pruning would hide it. Returns how many went.
CREATE FUNCTION agentdb_audit.prune(owner text, before timestamptz, keep bigint, most bigint, why text)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
$$;

-- The second net, which also holds the owner, and where the schema could not be given away everybody.
CREATE FUNCTION agentdb_audit.refuse() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
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
$$;
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON agentdb_audit.record
    FOR EACH ROW EXECUTE FUNCTION agentdb_audit.refuse();
CREATE TRIGGER refuse_all BEFORE TRUNCATE ON agentdb_audit.record
    FOR EACH STATEMENT EXECUTE FUNCTION agentdb_audit.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON agentdb_audit.chain
    FOR EACH ROW EXECUTE FUNCTION agentdb_audit.refuse();
CREATE TRIGGER refuse_all BEFORE TRUNCATE ON agentdb_audit.chain
    FOR EACH STATEMENT EXECUTE FUNCTION agentdb_audit.refuse();

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA agentdb_audit FROM PUBLIC;
