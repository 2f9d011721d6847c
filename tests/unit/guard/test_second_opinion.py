"""sqlglot is asked where it is quick, and heeded where it has a tree."""

import dataclasses
import subprocess
import sys

import pytest

from agentdb_mcp.core.guard import Guard
from agentdb_mcp.core.guard.analysis import analyse
from agentdb_mcp.core.guard.second import disagreement, second_view


@pytest.fixture
def quarrel(agent):
    def between(executed: str, seen: str):
        view = second_view(seen, agent.second)
        assert view is not None
        return disagreement(analyse(executed, agent.limits), view)

    return between


def test_two_readings_of_the_same_text_agree(quarrel):
    sql = "WITH a AS (DELETE FROM t WHERE x RETURNING *) INSERT INTO u SELECT * FROM a JOIN v USING (i)"
    assert quarrel(sql, sql) is None


def test_a_change_that_only_one_sees_is_a_disagreement(quarrel):
    assert quarrel("DELETE FROM t", "SELECT * FROM t") == ("one sees a change, the other only reading", None)
    assert quarrel("SELECT * FROM t", "DELETE FROM t") == ("one sees a change, the other only reading", None)
    assert quarrel("SELECT * FROM t FOR UPDATE", "SELECT * FROM t") is not None
    assert quarrel("SELECT * INTO x FROM t", "SELECT * FROM t") is not None


def test_a_relation_that_only_postgresql_sees_is_a_disagreement(quarrel):
    found = quarrel("SELECT 1 FROM secret", "SELECT 1")
    assert found is not None
    words, name = found
    assert words == "one does not see secret"
    assert name is not None
    assert name.position == 15


@pytest.mark.parametrize("name", ["a" * 70, "Ä" * 40, "日" * 30, "x" + "日" * 30, '"' + "Ü" * 32 + '"'])
def test_a_name_is_as_long_as_postgresql_keeps_it(quarrel, name):
    assert quarrel(f"SELECT 1 FROM {name}", f"SELECT 1 FROM {name}") is None
    assert quarrel(f"SELECT 1 FROM {name}", "SELECT 1 FROM a") is not None


def test_writing_by_a_function_is_not_the_second_parsers_to_see(quarrel):
    assert quarrel("SELECT nextval('s')", "SELECT nextval('s')") is None


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT 1",
        "DO $$ BEGIN END $$",
        "COMMIT",
        "SAVEPOINT a",
        "SELECT * FROM items ORDER BY embedding <#> '[1]'",
        "not SQL at all (",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_where_sqlglot_has_no_tree_it_has_no_view(sql, agent):
    assert second_view(sql, agent.second) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "date(" * 11 + "1" + ")" * 11,
        "SELECT " + ", ".join(["date(date(date(date(date(date(date(1)))))))"] * 40),
        "SELECT a" + "[1]" * 41,
        "SELECT 1" + " + 1" * 2600,
        "SELECT '" + "x" * 20_000 + "'",
        "SELECT 1 /* /**/**/" + " , date(" * 30,
    ],
)
def test_what_would_take_sqlglot_long_is_not_shown_to_it(sql, agent, monkeypatch):
    from sqlglot.parser import Parser

    def parse(*_):
        pytest.fail("sqlglot was asked")

    monkeypatch.setattr(Parser, "parse", parse, raising=True)
    assert second_view(sql, agent.second) is None


def test_it_can_be_left_out_by_policy(agent):
    assert second_view("SELECT 1", dataclasses.replace(agent.second, enabled=False)) is None


def test_a_disagreement_refuses_names_its_rule_and_is_noticed(agent, monkeypatch):
    from agentdb_mcp.core.guard import guard as module

    heard = []
    guard = Guard(notice=heard.append)
    view = second_view("SELECT 1", agent.second)
    monkeypatch.setattr(module, "second_view", lambda *_: view)
    judgement = guard.judge("SELECT * FROM hidden", agent)
    assert guard.judge("SELECT * FROM hidden", agent) is judgement
    assert heard == [judgement], "each disagreement is heard of once"
    assert judgement.verdict.rule == "parser.disagreement"
    assert judgement.verdict.position == 15
    assert judgement.second is view
    assert judgement.facts is not None
    assert judgement.facts.relations() == {"hidden"}


def test_importing_the_guard_does_not_import_sqlglot():
    code = "import sys, agentdb_mcp.core.guard; sys.exit('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
