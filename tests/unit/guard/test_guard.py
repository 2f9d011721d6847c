"""The guard's face: verdicts, errors, tools, the cache."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdb_mcp import assets
from agentdb_mcp.core.errors import Denied, Invalid
from agentdb_mcp.core.guard import ApprovedSql, Guard, StatementClass, Verdict, load_policies
from agentdb_mcp.core.guard.cache import VerdictCache

POLICIES = load_policies(assets.folder("policies"))


def test_what_is_approved_is_the_agents_own_text(guard, agent):
    sql = "  select 1 -- mine\n"
    approved = guard.approve(sql, agent, "query")
    assert approved.text is sql
    assert approved.statement_class is StatementClass.READ
    assert approved.policy == "agent"
    assert approved.facts.commands[0].name == "SELECT"


def test_an_approved_statement_is_made_by_the_decision_alone_and_does_not_change(guard, agent):
    approved = guard.approve("SELECT 1", agent)
    with pytest.raises(TypeError):
        ApprovedSql(object(), "DROP TABLE x", approved.facts, "agent", StatementClass.DDL)
    with pytest.raises(AttributeError):
        approved.text = "DROP TABLE x"
    with pytest.raises(AttributeError):
        approved.extra = 1
    assert "SELECT" not in repr(approved), "logs do not hold SQL"


def test_a_refusal_carries_rule_find_and_place(guard, agent):
    with pytest.raises(Denied) as caught:
        guard.approve("SELECT 'é', pg_sleep(1)", agent, "query")
    body = caught.value.as_dict()
    assert (body["code"], body["rule"], body["found"], body["position"]) == (
        "statement_denied", "function.refused", "pg_sleep", 13,
    )  # fmt: skip
    assert "pg_sleep" in body["message"]
    assert body["hint"]


def test_a_syntax_error_is_the_request_that_is_wrong(guard, agent):
    with pytest.raises(Invalid) as caught:
        guard.approve("SELECT 'é' FRM t x", agent, "query")
    assert (caught.value.code, caught.value.position) == ("sql_syntax", 16)
    assert 'syntax error at or near "t"' in caught.value.message


WRONG_TOOL = [
    ("SELECT 1", "execute", "query"),
    ("SELECT 1", "execute_ddl", "query"),
    ("INSERT INTO t VALUES (1)", "query", "execute"),
    ("SELECT 1 FOR UPDATE", "query", "execute"),
    ("SELECT nextval('s')", "query", "execute"),
    ("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a", "query", "execute"),
    ("EXPLAIN ANALYZE DELETE FROM t", "query", "execute"),
    ("CREATE TABLE t (a int)", "execute", "execute_ddl"),
    ("SELECT 1 INTO x", "query", "execute_ddl"),
    ("EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", "query", "execute_ddl"),
    ("VACUUM t", "execute", "execute_ddl"),
    ("EXPLAIN DELETE FROM t", "execute", "query"),
]


@pytest.mark.parametrize(("sql", "tool", "right"), WRONG_TOOL)
def test_the_wrong_tool_is_told_the_right_one(guard, agent, sql, tool, right):
    verdict = guard.inspect(sql, agent, tool)
    assert verdict.rule == "tool.mismatch"
    assert right in verdict.hint
    assert guard.inspect(sql, agent, right).allowed
    assert guard.inspect(sql, agent).allowed


@pytest.mark.parametrize(
    ("sql", "tool", "told"),
    [
        ("  delete from t", "query", ("DELETE writes, and `query` only reads.", "DELETE", 3)),
        ("WITH a AS (INSERT INTO t VALUES (1)) TABLE b", "query", ("INSERT writes, and `query` only reads.", "INSERT", 6)),
        ("SELECT nextval('s')", "query", ("nextval writes, and `query` only reads.", "nextval", 8)),
        ("DROP TABLE t", "query", ("DROP TABLE changes the schema, and `query` only reads.", "DROP TABLE", 1)),
        ("VACUUM t", "execute", ("VACUUM maintains the database, and `execute` changes rows.", "VACUUM", 1)),
        ("SELECT 1", "execute_ddl", ("SELECT only reads, and `execute_ddl` changes the schema.", "SELECT", 1)),
    ],
)  # fmt: skip
def test_the_wrong_tool_is_refused_in_the_words_of_sql(guard, agent, sql, tool, told):
    verdict = guard.inspect(sql, agent, tool)
    assert (verdict.message, verdict.found, verdict.position) == told


CALLS = ["SELECT w()", "SELECT public.count()", "SELECT * FROM w(1) AS t(a)", "WITH a AS (SELECT w()) TABLE a",
         "SELECT now(), w(count(*)) FROM t", "EXPLAIN ANALYZE SELECT w()", "VALUES (w())"]  # fmt: skip


@pytest.mark.parametrize("sql", CALLS)
def test_a_read_that_calls_a_function_of_the_agents_own_may_write_and_then_runs_as_a_write(guard, agent, sql):
    assert guard.approve(sql, agent, "query").statement_class is StatementClass.READ
    assert guard.approve(sql, agent, "execute").statement_class is StatementClass.WRITE
    assert guard.inspect(sql, agent, "execute_ddl").rule == "tool.mismatch"


@pytest.mark.parametrize("sql", ["SELECT count(*), now() FROM t", "SELECT pg_catalog.upper('a')", "TABLE t",
                                 "SELECT extract(day FROM now()), trim('a'), coalesce(1, 2)"])  # fmt: skip
def test_a_read_that_calls_only_postgresqls_own_functions_is_for_query(guard, agent, sql):
    assert guard.inspect(sql, agent, "execute").rule == "tool.mismatch"


@pytest.mark.parametrize("name", ["readonly", "strict"])
def test_a_policy_without_writes_or_functions_takes_no_calls_for_writes(guard, policies, name):
    assert not guard.inspect("SELECT w()", policies[name], "execute").allowed


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "SELECT 1 FOR UPDATE", "SELECT nextval('s')", "VACUUM",
                                 "CREATE TABLE t (a int)", "EXPLAIN ANALYZE DELETE FROM t", "SELECT 1 INTO x"])  # fmt: skip
def test_reading_only_means_reading_only(guard, policies, sql):
    verdict = guard.inspect(sql, policies["readonly"])
    assert not verdict.allowed
    assert verdict.rule == "statement.command"


GLOBAL = [
    ("UPDATE t SET a = 1", "dml.update_all"),
    ("DELETE FROM t", "dml.delete_all"),
    ("WITH x AS (DELETE FROM t RETURNING 1) SELECT 1", "dml.delete_all"),
    ("DO $$ BEGIN DELETE FROM t; END $$", "dml.delete_all"),
    ("TRUNCATE t", "statement.command"),
    ("DROP TABLE t CASCADE", "ddl.cascade"),
    ("ALTER TABLE t DROP COLUMN a CASCADE", "ddl.cascade"),
    ("DROP SCHEMA s CASCADE", "ddl.cascade"),
    ("UPDATE t SET a = 1 WHERE id IS NOT NULL", None),
    ("DELETE FROM t WHERE id IN (SELECT 1)", None),
    ("DELETE FROM t USING s WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)", None),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", None),
    ("MERGE INTO t USING s ON true WHEN MATCHED AND t.old THEN DELETE", None),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED BY SOURCE AND t.old THEN DELETE", None),
    ("MERGE INTO t USING s ON false WHEN NOT MATCHED THEN INSERT VALUES (1)", None),
    ("DELETE FROM t WHERE id = 1", None),
    ("DROP TABLE t", None),
    ("CREATE TABLE t (a int)", None),
    ("ALTER TABLE t ADD b int", None),
    ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", None),
]


@pytest.mark.parametrize(("sql", "rule"), GLOBAL)
def test_the_shared_database_is_not_emptied_by_one_careless_statement(guard, policies, sql, rule):
    assert guard.inspect(sql, policies["global"]).rule == rule


STRICT = [
    ("SELECT count(*) FROM orders", None),
    ("SELECT * FROM public.orders WHERE lower(a) = 'b'", None),
    ("INSERT INTO orders (a) VALUES (1)", None),
    ("UPDATE orders SET a = 1 WHERE id = 2", None),
    ("SELECT my_function(1)", "function.unlisted"),
    ("SELECT * FROM other.orders", "relation.schema"),
    ("SELECT 1::other.t", "relation.schema"),
    ("SELECT * FROM pg_class", "relation.catalog"),
    ("CREATE TABLE t (a int)", "statement.command"),
    ("DO $$ BEGIN END $$", "statement.command"),
    ("SELECT 1 FOR UPDATE", "statement.command"),
]


@pytest.mark.parametrize(("sql", "rule"), STRICT)
def test_strict_knows_one_schema_and_a_list_of_functions(guard, policies, sql, rule):
    assert guard.inspect(sql, policies["strict"]).rule == rule


def test_the_cache_does_not_mix_policies_tools_or_texts(guard, policies):
    sql = "DELETE FROM t"
    for _ in range(2):
        assert guard.inspect(sql, policies["agent"]).allowed
        assert not guard.inspect(sql, policies["global"]).allowed
        assert guard.inspect(sql, policies["agent"], "execute").allowed
        assert not guard.inspect(sql, policies["agent"], "query").allowed
        assert not guard.inspect("DELETE FROM t; ", policies["global"]).allowed
        assert guard.inspect("DO $$ BEGIN NULL; END $$", policies["agent"]).allowed
        assert not guard.inspect("DO $$ BEGIN COMMIT; END $$", policies["agent"]).allowed


def test_a_kept_verdict_raises_a_fresh_error(guard, agent):
    errors = []
    for _ in range(2):
        with pytest.raises(Denied) as caught:
            guard.approve("COMMIT", agent)
        errors.append(caught.value)
    assert errors[0] is not errors[1]


def test_the_cache_stays_within_its_bytes():
    cache: VerdictCache[int] = VerdictCache(100_000)
    for number in range(1000):
        cache.put(("x" * 1000, number), number, 1000)
        assert cache.size <= 100_000
    assert cache.get(("x" * 1000, 999)) == 999
    assert cache.get(("x" * 1000, 0)) is None
    cache.put("huge", 1, 50_000)
    assert cache.get("huge") is None


def test_what_was_asked_lately_stays():
    cache: VerdictCache[int] = VerdictCache(10_000)
    cache.put("a", 1, 0)
    for number in range(10):
        assert cache.get("a") == 1
        cache.put(number, number, 0)
    assert cache.get(0) is None


def test_a_guard_without_a_cache_judges_all_the_same(agent):
    guard = Guard(cache_bytes=0)
    assert guard.inspect("SELECT 1", agent) == guard.inspect("SELECT 1", agent)


def test_what_breaks_inside_refuses_and_is_noticed(agent, monkeypatch):
    from agentdb_mcp.core.guard import guard as module

    def broken(*_):
        raise KeyError("x")

    heard = []
    guard = Guard(notice=heard.append)
    monkeypatch.setattr(module, "analyse", broken)
    verdict = guard.inspect("SELECT 1", agent)
    assert [judgement.fault for judgement in heard] == ["KeyError"]
    assert (verdict.allowed, verdict.rule) == (False, "guard.internal")
    monkeypatch.undo()
    assert guard.inspect("SELECT 1", agent).allowed, "a fault of a moment is not remembered"


ANYTHING = st.one_of(
    st.none(), st.integers(), st.binary(), st.lists(st.text()), st.text(), st.text(st.characters())
)


@settings(max_examples=150, deadline=None)
@given(sql=ANYTHING, tool=st.sampled_from([None, "query", "execute", "execute_ddl"]))
def test_anything_at_all_gets_a_verdict(sql, tool):
    guard = Guard(cache_bytes=0)
    for policy in POLICIES.values():
        verdict = guard.inspect(sql, policy, tool)
        assert isinstance(verdict, Verdict)
        assert verdict.allowed is (verdict.rule is None)
        if not verdict.allowed:
            with pytest.raises((Denied, Invalid)):
                guard.approve(sql, policy, tool)


def test_all_bodies_of_a_statement_share_one_budget(guard, agent):
    one = "DO $a$ BEGIN " + "NULL;" * 60 + " END $a$;"
    few = f"CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $b$ {one * 3} $b$"
    many = f"CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $b$ {one * 100} $b$"
    assert guard.inspect(few, agent).allowed
    assert guard.inspect(many, agent).rule == "routine.unreadable"
