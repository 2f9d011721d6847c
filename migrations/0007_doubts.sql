-- What is learned of a database while somebody works on it (another plan, another owner, a lease that was lost)
-- must not be forgotten when that work is recorded. Whoever takes the database after the doubt settles it.
ALTER TABLE managed_database
    ADD COLUMN doubted boolean NOT NULL DEFAULT false;  -- what is recorded next is not believed
