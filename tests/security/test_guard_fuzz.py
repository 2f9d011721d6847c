"""Hostile calls in random legal places, and random damage to legal text: the exact tree itself is the oracle.

The quick profile belongs to `make test`, the long one to `make fuzz`.
"""

import json
from pathlib import Path
from typing import Any

import pgparse
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, load_policies
from agentdb_mcp.core.guard.lexer import tokens
from agentdb_mcp.core.guard.second import second_view

CORPUS = Path(__file__).parent / "corpus"
POLICIES = load_policies(assets.folder("policies"))
AGENT = POLICIES["agent"]
GUARD = Guard(cache_bytes=0)

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))


def _corpus(name: str) -> list[str]:
    return [json.loads(line)["sql"] for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


FRIENDLY = _corpus("friendly.jsonl")

HOSTILE_EXPRESSIONS = [
    "pg_sleep(1)", "pg_catalog.pg_sleep(1)", '"pg_sleep"(1)', 'U&"pg\\005fsleep"(1)', "pg_read_file('x')",
    "lo_create(0)", "set_config('a', 'b', false)", "current_setting('data_directory')", "1::regrole",
    "(SELECT rolname FROM pg_authid LIMIT 1)", "(SELECT 1 FROM pg_catalog.pg_database)", "regrole('a')",
    "query_to_xml('select 1', true, true, '')", "pg_logical_emit_message(false, 'a', 'b')",
]  # fmt: skip

EXPRESSIONS = [
    "{}", "({})", "coalesce({}::text, 'a')", "CASE WHEN ({}) IS NULL THEN 1 ELSE 2 END", "(SELECT {})",
    "ARRAY[({})::text]", "ROW(1, {})", "f(a => ({})::text)", "NOT (({}) IS NULL)", "({})::text || 'x'",
    "EXISTS (SELECT 1 WHERE ({}) IS NULL)", "1 IN (SELECT length(({})::text))", "jsonb_build_object('a', {})",
    "(SELECT max(x) FROM (SELECT ({})::text AS x) s)", "JSON_OBJECT('k' : ({})::text)", "(ARRAY[1,2])[length(({})::text)]",
    "count(*) FILTER (WHERE ({}) IS NULL)", "sum(1) OVER (ORDER BY ({})::text)", "($1)::text = ({})::text",
    "greatest('a', ({})::text COLLATE \"C\")", "(({})::text, 1) = ('a', 1)", "xmlelement(name a, ({})::text)",
    "(WITH q AS (SELECT {}) SELECT 1 FROM q)", "1 + length(({})::text) * 2", "nullif(({})::text, '') IS DISTINCT FROM 'a'",
]  # fmt: skip

STATEMENTS = [
    "SELECT {}", "SELECT 1 FROM t WHERE ({}) IS NULL", "SELECT 1 FROM t ORDER BY {}", "WITH a AS (SELECT {}) SELECT * FROM a",
    "SELECT * FROM t JOIN u ON ({}) IS NULL", "SELECT 1 FROM t, LATERAL (SELECT {}) l", "VALUES (1, {})",
    "SELECT 1 UNION ALL SELECT length(({})::text)", "SELECT 1 LIMIT length(({})::text)",
    "INSERT INTO t (a) VALUES ({})", "INSERT INTO t (a) SELECT {}", "INSERT INTO t VALUES (1) RETURNING {}",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = {}", "UPDATE t SET a = {} WHERE true",
    "UPDATE t SET a = 1 WHERE ({}) IS NULL RETURNING *", "DELETE FROM t WHERE ({}) IS NULL",
    "MERGE INTO t USING s ON ({}) IS NULL WHEN MATCHED THEN DELETE", "CREATE TABLE x AS SELECT {} AS a",
    "CREATE TABLE x (a text DEFAULT ({})::text)", "CREATE TABLE x (a int CHECK (({}) IS NULL))",
    "CREATE VIEW v AS SELECT {} AS a", "CREATE MATERIALIZED VIEW v AS SELECT {} AS a",
    "CREATE INDEX ON t ((({})::text))", "CREATE INDEX ON t (a) WHERE ({}) IS NULL",
    "ALTER TABLE t ALTER a TYPE text USING ({})::text", "ALTER TABLE t ADD b text DEFAULT ({})::text",
    "CREATE POLICY p ON t USING (({}) IS NULL)", "CREATE RULE r AS ON INSERT TO t DO ALSO SELECT {}",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN ({})::text", "EXPLAIN SELECT {}",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ SELECT ({})::text $f$",
    "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN {}; END $f$",
    "DO $f$ BEGIN PERFORM {}; END $f$", "DO $f$ DECLARE r record := ({}); BEGIN NULL; END $f$",
    "DO $f$ BEGIN IF ({}) IS NULL THEN RAISE NOTICE '%', 1; END IF; END $f$",
    "CALL p({})", "SELECT f.* FROM (SELECT {}) f FOR UPDATE", "TABLE t ORDER BY {}",
]  # fmt: skip


@st.composite
def hidden_calls(draw) -> str:
    """A statement that PostgreSQL could parse, with something hostile deep inside."""
    hole = draw(st.sampled_from(HOSTILE_EXPRESSIONS))
    for _ in range(draw(st.integers(0, 6))):
        hole = draw(st.sampled_from(EXPRESSIONS)).replace("{}", hole)
    return draw(st.sampled_from(STATEMENTS)).replace("{}", hole)


COMMENTS = st.sampled_from(
    ["/**/", "/* x */", "/* /* */ */", "/*/**/*/", "-- x\n", "/* /**/**/", "\n", "\t", "\f"]
)
PIECES = st.sampled_from([
    "pg_sleep(1)", ", pg_sleep(1)", "(SELECT pg_sleep(1))", "pg_authid", "pg_catalog.pg_authid", ", pg_authid", "FROM pg_authid",
    "::regrole", "UNION SELECT 1 FROM pg_authid", "AND pg_sleep(1) IS NULL", "FOR UPDATE", "INTO x", "/*", "*/", "--", "'", '"', "$$", "$a$",
    "\\", "E'", "U&'", 'U&"', "(", ")", "[", "]", ";", ",", "*", "1", "NULL", "\u00a0", "é", "/* /**/**/", "--*/", "|/*\n--*/", "$1",
])  # fmt: skip


@st.composite
def damaged(draw) -> str:
    """A friendly statement with pieces thrown between its tokens."""
    sql = draw(st.sampled_from(FRIENDLY))
    cuts = [0, *(token.end for token in tokens(sql))]
    places = sorted(draw(st.lists(st.sampled_from(cuts), min_size=1, max_size=4)), reverse=True)
    for place in places:
        sql = f"{sql[:place]} {draw(st.one_of(PIECES, COMMENTS))} {sql[place:]}"
    return sql


def _holds_hostility(node: Any) -> bool:
    """Whether the raw tree, searched without any knowledge of the grammar, calls pg_sleep or names pg_authid."""
    if isinstance(node, list):
        return any(map(_holds_hostility, node))
    if not isinstance(node, dict):
        return False
    called = [part["String"].get("sval") for part in node.get("funcname", []) if "String" in part]
    catalog = node.get("relname") == "pg_authid" and node.get("schemaname") in {None, "pg_catalog"}
    if called[-1:] == ["pg_sleep"] or catalog:
        return True
    names = [part["String"].get("sval") for part in node.get("names", []) if "String" in part]
    return names[-1:] == ["regrole"] or any(map(_holds_hostility, node.values()))


def _parsed(sql: str) -> list[Any] | None:
    try:
        return pgparse.parse(sql)
    except (pgparse.PGQueryError, RecursionError):
        return None


def _check_hidden(sql: str) -> None:
    assert _parsed(sql) is not None, f"the grammar of this test is wrong: {sql}"
    for policy in POLICIES.values():
        verdict = GUARD.inspect(sql, policy)
        assert not verdict.allowed, sql
        assert verdict.rule != "guard.internal", sql


def _check_damaged(sql: str) -> None:
    verdict = GUARD.inspect(sql, AGENT)
    tree = _parsed(sql) if "\0" not in sql else None
    assert verdict.rule != "guard.internal", sql
    if tree is None or len(tree) != 1 or _holds_hostility(tree):
        assert not verdict.allowed, sql
    elif verdict.allowed:
        view = second_view(sql, AGENT.second)
        facts = GUARD.judge(sql, AGENT).facts
        assert facts is not None
        assert view is None or facts.klass != "read" or view.reads_only, sql


@QUICK
@given(hidden_calls())
def test_what_is_hostile_is_found_wherever_it_hides(sql):
    _check_hidden(sql)


@QUICK
@given(damaged())
def test_damaged_text_never_slips_through(sql):
    _check_damaged(sql)


@QUICK
@given(st.text(alphabet="/*-'\"$aeEuU&\\\n;()[] 1x", max_size=60))
def test_the_exact_parser_and_the_lexer_agree_where_literals_end(text):
    sql = f"SELECT 1 {text}\n, pg_sleep(1)"
    tree = _parsed(sql)
    if tree is not None and _holds_hostility(tree):
        assert not GUARD.inspect(sql, AGENT).allowed
        assert any(token.text == "pg_sleep" for token in tokens(sql))


@pytest.mark.fuzz
@LONG
@given(hidden_calls())
def test_what_is_hostile_is_found_wherever_it_hides_at_length(sql):
    _check_hidden(sql)


@pytest.mark.fuzz
@LONG
@given(damaged())
def test_damaged_text_never_slips_through_at_length(sql):
    _check_damaged(sql)
