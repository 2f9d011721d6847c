"""What is lost by a statement, as the guard's facts tell it."""

from pathlib import Path

import pytest

from agentdb_mcp.core.guard import load_policies
from agentdb_mcp.core.guard.analysis import analyse
from agentdb_mcp.core.guard.facts import Extent, Loss

LIMITS = load_policies(Path(__file__).parents[3] / "policies")["agent"].limits


def losses(sql: str) -> list[Loss]:
    return list(analyse(sql, LIMITS).losses)


def in_words(sql: str) -> list[str]:
    """Each loss as `ACT path extent`, with a + where it cascades."""
    return [f"{loss.act} {'.'.join(loss.path)} {loss.extent}{'+' * loss.cascades}" for loss in losses(sql)]


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        ("DROP TABLE a, s.b", ["DROP TABLE a thing", "DROP TABLE s.b thing"]),
        ("DROP TABLE IF EXISTS a CASCADE", ["DROP TABLE a thing+"]),
        ("DROP SCHEMA s CASCADE", ["DROP SCHEMA s thing+"]),
        ("DROP VIEW v", ["DROP VIEW v thing"]),
        ("DROP MATERIALIZED VIEW m", ["DROP MATERIALIZED VIEW m thing"]),
        ("DROP FUNCTION f(int)", ["DROP FUNCTION f thing"]),
        ("DROP TRIGGER t ON s.a", ["DROP TRIGGER s.a.t thing"]),
        ("DROP TYPE s.t", ["DROP TYPE s.t thing"]),
        ("DROP INDEX i", ["DROP INDEX i thing"]),
        ("TRUNCATE a, s.b", ["TRUNCATE a rows", "TRUNCATE s.b rows"]),
        ("TRUNCATE a CASCADE", ["TRUNCATE a rows+"]),
        ("ALTER TABLE s.a DROP COLUMN c CASCADE", ["DROP COLUMN s.a.c thing+"]),
        ("ALTER TABLE a ADD x int, DROP y, DROP z", ["DROP COLUMN a.y thing", "DROP COLUMN a.z thing"]),
        ("ALTER TABLE a ALTER c TYPE int USING 0", ["ALTER COLUMN TYPE USING a.c thing"]),
        ("ALTER TYPE t DROP ATTRIBUTE x", ["DROP COLUMN t.x thing"]),
        ("DELETE FROM a", ["DELETE a rows"]),
        ("DELETE FROM s.a WHERE true", ["DELETE s.a rows"]),
        ("DELETE FROM a WHERE 1 = 1 AND EXISTS (SELECT 1)", ["DELETE a rows"]),
        ("DELETE FROM a USING b", ["DELETE a rows"]),
        ("UPDATE a SET x = 1", ["UPDATE a rows"]),
        ("UPDATE a SET x = b.x FROM b", ["UPDATE a rows"]),
        ("UPDATE a SET x = 1 WHERE $1", ["UPDATE a rows"]),
        ("WITH gone AS (DELETE FROM a RETURNING 1) SELECT count(*) FROM gone", ["DELETE a rows"]),
        ("WITH x AS (SELECT 1) INSERT INTO b SELECT * FROM x", []),
        ("MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", ["DELETE a rows"]),
        (
            "MERGE INTO a USING b ON a.i = b.i WHEN NOT MATCHED BY SOURCE THEN DELETE",
            ["DELETE a rows"],
        ),
        ("EXPLAIN ANALYZE DELETE FROM a", ["DELETE a rows"]),
        ("DO $$ BEGIN DROP TABLE a; END $$", ["DROP TABLE a thing"]),
        ("DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$", ["DROP TABLE a thing"]),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM a; END $$",
            ["DELETE a rows"],
        ),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ TRUNCATE a; DROP TABLE b $$",
            ["TRUNCATE a rows", "DROP TABLE b thing"],
        ),
        ("CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b", ["DELETE b rows"]),
    ],
)
def test_what_is_lost_for_certain_is_named(sql: str, lost: list[str]) -> None:
    assert in_words(sql) == lost


@pytest.mark.parametrize(
    ("sql", "counted"),
    [
        ("DELETE FROM a WHERE id = 1", ["DELETE a some"]),
        ("DELETE FROM a USING b WHERE a.i = b.i", ["DELETE a some"]),
        ("DELETE FROM a WHERE CURRENT OF c", ["DELETE a some"]),
        ("UPDATE s.a SET x = 1 FROM b WHERE b.y = 2", ["UPDATE s.a some"]),
        ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN UPDATE SET x = 1", ["UPDATE a some"]),
        ("INSERT INTO a VALUES (1) ON CONFLICT (i) DO UPDATE SET x = 1", ["UPDATE a some"]),
    ],
)
def test_rows_that_a_condition_picks_are_left_to_the_run_to_count(sql: str, counted: list[str]) -> None:
    assert in_words(sql) == counted
    assert {loss.extent for loss in losses(sql)} == {Extent.SOME}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM a",
        "INSERT INTO a VALUES (1)",
        "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING",
        "MERGE INTO a USING b ON a.i = b.i WHEN NOT MATCHED THEN INSERT VALUES (1)",
        "CREATE TABLE a (x int)",
        "ALTER TABLE a ADD COLUMN x int",
        "ALTER TABLE a ALTER COLUMN x TYPE bigint",
        "ALTER TABLE a DROP CONSTRAINT k",
        "ALTER TABLE a RENAME TO b",
        "COMMENT ON TABLE a IS 'DROP TABLE a'",
        "EXPLAIN DELETE FROM a",
        "SELECT 'DELETE FROM a'",
        "REFRESH MATERIALIZED VIEW m",
    ],
)
def test_what_destroys_nothing_loses_nothing(sql: str) -> None:
    assert losses(sql) == []
