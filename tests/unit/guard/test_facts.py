"""What the analysis finds, and where."""

import pytest

from agentdb_mcp.core.guard.analysis import NotOneStatement, analyse
from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.facts import Access, NameKind


@pytest.fixture
def facts(agent):
    return lambda sql: analyse(sql, agent.limits)


def _names(facts, kind):
    return [(name.text, name.access.value) for name in facts.names if name.kind is kind]


def test_relations_are_told_apart_by_what_is_done_to_them(facts):
    found = facts("INSERT INTO a.x SELECT * FROM y JOIN b.z USING (i)")
    assert sorted(_names(found, NameKind.RELATION)) == [("a.x", "write"), ("b.z", "read"), ("y", "read")]


def test_a_with_query_is_no_relation_where_it_can_be_seen(facts):
    found = facts("WITH a AS (SELECT 1), b AS (SELECT * FROM a, t) SELECT * FROM a, b, u")
    assert sorted(_names(found, NameKind.RELATION)) == [("t", "read"), ("u", "read")]


def test_a_with_query_does_not_see_itself_unless_it_is_recursive(facts):
    plain = facts("WITH t AS (SELECT * FROM t) SELECT * FROM t")
    recursive = facts("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t")
    assert _names(plain, NameKind.RELATION) == [("t", "read")]
    assert _names(recursive, NameKind.RELATION) == []


def test_a_with_query_sees_the_one_further_out_that_it_hides(facts):
    found = facts(
        "WITH t AS (SELECT 1) SELECT * FROM (WITH t AS (SELECT * FROM t), u AS (SELECT 1) SELECT * FROM t, u) s, u"
    )
    assert _names(found, NameKind.RELATION) == [("u", "read")]


def test_a_with_query_does_not_reach_out_of_its_statement(facts):
    found = facts("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) s, a")
    assert _names(found, NameKind.RELATION) == [("a", "read")]


def test_a_change_goes_to_the_table_even_under_a_with_query_of_its_name(facts):
    found = facts("WITH t AS (SELECT 1 AS id) DELETE FROM t WHERE id = 1")
    assert _names(found, NameKind.RELATION) == [("t", "write")]


def test_a_catalogs_name_stays_a_catalogs_name(facts):
    found = facts("WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid")
    assert _names(found, NameKind.RELATION) == [("pg_authid", "read")]


def test_names_of_from_items_in_a_locking_clause_are_no_relations(facts):
    found = facts("SELECT * FROM jobs AS j FOR UPDATE OF j")
    assert _names(found, NameKind.RELATION) == [("jobs", "read")]


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("SELECT f(1)", 8),
        ("SELECT 'ü', f(1)", 13),
        ("SELECT 'ü€😀', f(1)", 15),
        ('SELECT "é" AS "😀", f(1) FROM "ü"', 20),
        ("/* é */ SELECT\n  f(1)", 18),
    ],
)
def test_positions_are_characters_counted_from_one(facts, sql, position):
    [call] = [name for name in facts(sql).names if name.kind is NameKind.FUNCTION]
    assert call.position == position
    assert sql[position - 1 :].startswith("f(1)")


CLASSES = [
    ("SELECT 1", "read"),
    ("SELECT 1 FOR UPDATE", "write"),
    ("SELECT nextval('s')", "write"),
    ("SELECT * FROM (SELECT setval('s', 1)) x", "write"),
    ("EXPLAIN SELECT nextval('s')", "read"),
    ("WITH a AS (UPDATE t SET b = 1 RETURNING 1) SELECT 1", "write"),
    ("SELECT 1 INTO x", "ddl"),
    ("EXPLAIN DELETE FROM t", "read"),
    ("EXPLAIN ANALYZE DELETE FROM t", "write"),
    ("EXPLAIN (ANALYZE, ANALYZE false) CREATE TABLE x AS SELECT 1", "read"),
    ("EXPLAIN (ANALYZE false, ANALYZE) CREATE TABLE x AS SELECT 1", "ddl"),
    ("DO $$ BEGIN NULL; END $$", "write"),
    ("DO $$ BEGIN DROP TABLE t; END $$", "ddl"),
    ("DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$", "ddl"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'", "ddl"),
    ("VACUUM", "maintenance"),
    ("COMMIT", "transaction"),
    ("SET a = 1", "session"),
    ("COPY t TO STDOUT", "copy"),
    ("CREATE ROLE x", "server"),
]


@pytest.mark.parametrize(("sql", "klass"), CLASSES)
def test_a_statement_has_the_highest_class_of_what_it_runs(facts, sql, klass):
    assert facts(sql).klass is StatementClass(klass)


def test_first_arguments_are_kept_only_as_constants(facts):
    found = facts("SELECT f('a'), f('b'::text), f(c), f('d' || 'e'), f()")
    assert [name.argument for name in found.names if name.kind is NameKind.FUNCTION] == [
        "a",
        "b",
        None,
        None,
        None,
    ]


def test_settings_that_a_function_carries_are_not_the_sessions(facts):
    found = facts("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = a AS 'SELECT 1'")
    assert [name.access for name in found.names if name.kind is NameKind.SETTING] == [Access.ROUTINE]


def test_depth_counts_levels_of_the_tree(facts):
    assert facts("SELECT 1").depth < facts("SELECT (SELECT (SELECT f(g(1))))").depth


@pytest.mark.parametrize(("sql", "count"), [("", 0), (";;", 0), ("SELECT 1; SELECT 2", 2)])
def test_there_is_exactly_one_statement(facts, sql, count):
    with pytest.raises(NotOneStatement) as caught:
        facts(sql)
    assert caught.value.count == count
