"""`agentdb check`: JSON lines in, verdict lines out, whatever comes."""

import json

import pytest

from agentdb_mcp.entrypoints.check import check_stream, explain_statement


def _answers(policy, *lines):
    return [json.loads(answer) for answer in check_stream(lines, [policy])]


def test_each_line_is_answered_with_its_id(agent):
    answers = _answers(
        agent, '{"id": 1, "sql": "SELECT 1", "note": "ignored"}\n', '{"id": "b", "sql": "COMMIT"}\n'
    )
    assert answers[0] == {"id": 1, "verdict": "allow", "class": "read", "rule": None, "message": ""}
    assert (answers[1]["id"], answers[1]["verdict"], answers[1]["class"], answers[1]["rule"]) == (
        "b", "deny", "transaction", "statement.transaction",
    )  # fmt: skip
    assert "each call is one transaction" in answers[1]["message"]


def test_an_answer_comes_before_the_next_line_is_read(agent):
    def lines():
        yield '{"id": 1, "sql": "SELECT 1"}'
        pytest.fail("the second line was asked for before the first was answered")

    assert json.loads(next(check_stream(lines(), [agent])))["verdict"] == "allow"


BROKEN = [
    ("not json", None),
    ('{"id": 1}', 1),
    ("[1, 2]", None),
    ("null", None),
    ('{"id": 1, "sql": "SELECT 1"', None),
    ("[" * 100_000, None),
    ('{"id": 1, "sql": ' + "9" * 10_000 + "}", None),
]


@pytest.mark.parametrize(("line", "identity"), BROKEN)
def test_a_broken_line_is_answered_too(agent, line, identity):
    [answer] = _answers(agent, line)
    assert (answer["verdict"], answer["rule"], answer["id"]) == ("deny", "input.line", identity)
    assert answer["message"]


@pytest.mark.parametrize("sql", ["null", "42", '["SELECT 1"]', '{"a": 1}', "true"])
def test_sql_that_is_not_text_is_denied(agent, sql):
    [answer] = _answers(agent, f'{{"id": {{"any": ["thing"]}}, "sql": {sql}}}')
    assert (answer["verdict"], answer["rule"], answer["id"]) == ("deny", "text.type", {"any": ["thing"]})


def test_answers_can_be_written_in_any_encoding(agent):
    [answer] = check_stream([r'{"id": "\ud800", "sql": "SELECT 1 AS \ud800"}'], [agent])
    assert answer.isascii()
    assert json.loads(answer)["rule"] == "text.encoding"


def test_empty_lines_are_passed_over_and_a_byte_order_mark_too(agent):
    assert [
        answer["verdict"] for answer in _answers(agent, "\n", '\ufeff{"id": 1, "sql": "SELECT 1"}', "  \n")
    ] == ["allow"]


@pytest.mark.parametrize(
    ("sql", "code"), [("SELECT 1", 0), ("DELETE FROM t", 1), ("SELECT pg_sleep(1)", 1), ("SELEC 1", 2)]
)
def test_the_exit_code_follows_the_verdicts_of_all_policies(policies, sql, code):
    assert explain_statement(sql, [policies["agent"], policies["global"]]).exit_code == code


def test_facts_are_shown_on_request(policies):
    explanation = explain_statement("SELECT f(a) FROM s.t", [policies["agent"]])
    plain = "\n".join(explanation.lines(colour=False, facts=False))
    full = "\n".join(explanation.lines(colour=False, facts=True))
    assert "s.t" not in plain
    assert "s.t" in full
    assert "\x1b" not in full
    assert "\x1b" in "\n".join(explanation.lines(colour=True, facts=False))
