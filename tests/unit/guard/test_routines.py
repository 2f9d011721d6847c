"""Bodies in strings are read like the statement around them."""

import json
from pathlib import Path

import pgparse
import pytest

from agentdb_mcp.core.guard.analysis import analyse
from agentdb_mcp.core.guard.declarations import declarations
from agentdb_mcp.core.guard.facts import Feature, NameKind
from agentdb_mcp.core.guard.lexer import tokens


@pytest.fixture
def facts(agent):
    return lambda sql: analyse(sql, agent.limits)


def _calls(facts):
    return {name.text for name in facts.names if name.kind is NameKind.FUNCTION}


def _features(facts):
    return {trait.feature for trait in facts.traits}


def test_the_default_of_a_record_is_read_though_the_library_drops_it(facts):
    found = facts("DO $$ DECLARE a int := f1(); r record := f2(); t x%ROWTYPE DEFAULT f3(); BEGIN END $$")
    assert _calls(found) == {"f1", "f2", "f3"}


def test_variables_of_row_types_have_fields(facts):
    found = facts("DO $$ DECLARE r t%ROWTYPE; s public.t; BEGIN r.a := f1(); s.b := f2(); END $$")
    assert _features(found) == set()
    assert _calls(found) == {"f1", "f2"}


def test_parameters_of_row_types_have_fields(facts):
    found = facts(
        "CREATE FUNCTION f(u users, v users) RETURNS int LANGUAGE plpgsql AS "
        "'BEGIN u.name := ''x''; v.name := f1(); RETURN 1; END; -- end'"
    )
    assert _features(found) == set()
    assert "f1" in _calls(found)


def test_parameters_can_be_cursors(facts):
    found = facts(
        "CREATE FUNCTION f(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS "
        "$$ BEGIN OPEN c FOR SELECT f1(); RETURN c; END $$"
    )
    assert _features(found) == set()
    assert "f1" in _calls(found)


def test_a_block_that_is_labelled_qualifies_its_variables(facts):
    found = facts("DO $$ <<b>> DECLARE c t; BEGIN b.c.x := f1(); END $$")
    assert _features(found) == set()
    assert _calls(found) == {"f1"}


def test_a_constant_statement_is_read_and_another_is_dynamic(facts):
    constant = facts("DO $$ BEGIN EXECUTE 'SELECT f1()'; END $$")
    made = facts("DO $$ BEGIN EXECUTE 'SELECT ' || x; END $$")
    assert (_calls(constant), _features(constant)) == ({"f1"}, set())
    assert _features(made) == {Feature.DYNAMIC_SQL}


@pytest.mark.parametrize("tail", [" FROM t", " WHERE true", " LIMIT 1", " || ''"])
def test_a_constant_is_one_only_by_itself(facts, tail):
    found = facts(f"DO $$ BEGIN EXECUTE 'SELECT f1()'{tail}; END $$")
    assert Feature.DYNAMIC_SQL in _features(found)


def test_targets_and_values_of_assignments_are_both_read(facts):
    found = facts("DO $$ DECLARE a int[]; BEGIN a[f1()] := f2(b = c); a[f3() = 1] = f4(); END $$")
    assert _calls(found) == {"f1", "f2", "f3", "f4"}


def test_bodies_within_bodies_are_read(facts):
    found = facts(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $a$ CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS "
        "$b$ BEGIN DO $c$ BEGIN PERFORM f1(); END $c$; RETURN 1; END $b$ $a$"
    )
    assert "f1" in _calls(found)


def test_each_statement_of_an_sql_body_with_its_own_routine_is_read(facts):
    one = "CREATE FUNCTION g{0}() RETURNS int LANGUAGE plpgsql AS $b$ BEGIN RETURN f{0}(); END $b$"
    found = facts(
        f"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $a$ {one.format(1)}; {one.format(2)}; SELECT 1 $a$"
    )
    assert {"f1", "f2"} <= _calls(found)
    assert _features(found) == set()


def test_more_pieces_than_can_be_analysed_make_a_body_unreadable(facts):
    found = facts("DO $$ BEGIN " + "PERFORM 1; " * 1000 + " END $$")
    assert _features(found) == {Feature.UNREADABLE_BODY}


def test_everything_found_in_a_body_stands_where_the_routine_does(facts):
    found = facts("/* é */ DO $$ BEGIN PERFORM f1(); END $$")
    [call] = [name for name in found.names if name.kind is NameKind.FUNCTION]
    assert call.position == 9


def test_defaults_are_the_ones_that_the_library_finds(friendly_routines):
    found = 0
    for sql, body in friendly_routines:
        [tree] = pgparse.parse_pgsql(sql)
        variables = [datum.get("PLpgSQL_var", {}) for datum in tree["PLpgSQL_function"]["datums"]]
        theirs = {v["default_val"]["PLpgSQL_expr"]["query"].strip() for v in variables if "default_val" in v}
        ours = {declared.default.strip() for declared in declarations(body) if declared.default is not None}
        assert theirs <= ours
        found += len(theirs)
    assert found >= 4


@pytest.fixture
def friendly_routines():
    """Routines whose text the library reads as it is, with their bodies."""
    corpus = Path(__file__).parents[2] / "security" / "corpus" / "friendly.jsonl"
    statements = [json.loads(line)["sql"] for line in corpus.read_text(encoding="utf-8").splitlines()]
    routines = []
    for sql in statements:
        bodies = [token.text for token in tokens(sql) if token.text.startswith("$")]
        if len(bodies) == 1 and "plpgsql" in sql and "u.name" not in sql and "r.name" not in sql:
            routines.append((sql, bodies[0].strip("$").removeprefix("body$").removesuffix("$body")))
    return routines


DECLARED = [
    ("DECLARE a int; BEGIN", [("a", "int", None)]),
    ("declare A CONSTANT text := 'x'; b int = 1;BEGIN", [("a", "text ", " 'x'"), ("b", "int ", " 1")]),
    ("DECLARE a numeric(10, 2) NOT NULL DEFAULT f(b = c); BEGIN", [("a", "numeric(10, 2) ", " f(b = c)")]),
    ("DECLARE a text COLLATE \"C\" := 'y'; BEGIN", [("a", "text ", " 'y'")]),
    ("DECLARE c CURSOR (a int) FOR SELECT 1; d ALIAS FOR $1; BEGIN", [("c", "", None), ("d", "", None)]),
    ("BEGIN x := 1; DECLARE a int; BEGIN END; END", [("a", "int", None)]),
    ("DECLARE DECLARE a int; DECLARE b int; BEGIN", [("a", "int", None), ("b", "int", None)]),
    ("DECLARE a text := $q$;$q$ || ';'; BEGIN", [("a", "text ", " $q$;$q$ || ';'")]),
    ("BEGIN NULL; END", []),
]


@pytest.mark.parametrize(("body", "expected"), DECLARED)
def test_declarations_are_cut_as_plpgsql_cuts_them(body, expected):
    assert [(found.name, found.type, found.default) for found in declarations(body)] == expected
