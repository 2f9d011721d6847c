-- What tells this installation's databases from another's where only names can: in an organization of Neon's that
-- two of them share. It is part of every backup, so that what was made before is known after a restore.
CREATE TABLE installation (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),   -- there is one row
    mark text NOT NULL DEFAULT left(gen_random_uuid()::text, 8)
);
INSERT INTO installation DEFAULT VALUES;
