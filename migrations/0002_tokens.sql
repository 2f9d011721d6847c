-- Bearer tokens of callers over HTTP (docs/adr/0014). Of a token's text only the hash is kept.
--
-- An agent's token serves one workspace, for as long as it stays its user's. A host's has no workspace, and
-- none of an agent's rights.
CREATE TABLE access_token (
    id text PRIMARY KEY,           -- the middle part of the text: what lists, logs and revocations name it by
    digest bytea NOT NULL UNIQUE,  -- SHA-256 of the whole text, which holds 256 random bits: no salt, no stretching
    user_id text,                  -- the workspace's owner when it was made
    workspace_id text REFERENCES workspace (id) ON DELETE CASCADE,
    scopes text[] NOT NULL,
    label text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT access_token_digest_check CHECK (octet_length(digest) = 32),
    CONSTRAINT access_token_scopes_check CHECK (CASE
        WHEN workspace_id IS NOT NULL THEN user_id IS NOT NULL AND scopes = '{agent}'
        ELSE user_id IS NULL AND cardinality(scopes) > 0 AND scopes <@ '{lifecycle,reveal}'
    END)
);
CREATE INDEX idx_access_token_workspace_id ON access_token (workspace_id);

-- Servers remember whom a token stands for until this speaks (docs/adr/0006). A new token need not be told of:
-- that there is no such token is never remembered.
CREATE FUNCTION announce_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agentdb_database', OLD.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_token AFTER UPDATE OR DELETE ON access_token
    FOR EACH ROW EXECUTE FUNCTION announce_token();
