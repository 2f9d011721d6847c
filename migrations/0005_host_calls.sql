-- Calls of hosts that carry an idempotency key: what each was, and what was answered (docs/how-to/host-api.md).
-- Every call is harmless when repeated at once; the key guards against one that is repeated late, after the
-- opposite was called. Answers name databases and states, never a URI or a token.
CREATE TABLE host_call (
    key text PRIMARY KEY,
    digest bytea NOT NULL,       -- SHA-256 of what was asked: a key means one thing
    answer jsonb,                -- NULL while it is under way
    begun_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_host_call_begun_at ON host_call (begun_at);
