-- What all processes of an installation may ask of a provider together: one row for each rate that it documents
-- (docs/adr/0021). Not logged: it is written with every request, and losing it costs no more than one burst.
CREATE UNLOGGED TABLE rate_budget (
    name text PRIMARY KEY,
    next_at timestamptz NOT NULL   -- when the next request may be sent; in the past: a rest saved some up
);
