"""What no parser ever sees."""

import dataclasses

import pytest

from agentdb_mcp.core.guard.gates import gate

REFUSED = [
    (None, "text.type", None),
    (b"SELECT 1", "text.type", None),
    (42, "text.type", None),
    ("SELECT 1\0", "text.nul", 9),
    ("SELECT '\ud800'", "text.encoding", 9),
    ("SELECT\u00a01", "text.blank", 7),
    ("\ufeffSELECT 1", "text.blank", 1),
    ("SELECT 1 -- é\u2028\n, a\u200bb", "text.blank", 19),
    ("SELECT 1" + "/* */" * 65, "text.comments", 329),
    ("SELECT 1 " + "/*" * 65, "text.comments", 10),
    ("SELECT " + "(" * 65 + "1" + ")" * 65, "text.depth", 72),
    ("SELECT " + "[" * 65, "text.depth", 72),
    ("SELECT 1 " + "+" * 64 + "2", "text.operator", 10),
]


@pytest.mark.parametrize(("sql", "rule", "position"), REFUSED)
def test_a_gate_says_what_it_found_and_where(sql, rule, position, agent):
    stopped = gate(sql, agent.limits)
    assert stopped is not None
    assert (stopped.rule, stopped.position) == (rule, position)


PASSED = [
    "SELECT 'a\u00a0b', \"c\u00a0d\" -- \u00a0\n",
    "SELECT 1" + "/* */" * 64,
    "SELECT " + "(" * 64 + "1" + ")" * 64,
    "SELECT '" + "(" * 500 + "'",
    "-- " + "-" * 200 + "\nSELECT 1 /" + "*" * 100 + "/",
    "SELECT '" + "+" * 500 + "'",
    "INSERT INTO files VALUES ('" + "/* code */" * 500 + "')",
    "INSERT INTO files VALUES ($code$" + "/* not (((( */" * 500 + "$code$)",
    "",
    "not SQL at all",
]


@pytest.mark.parametrize("sql", PASSED)
def test_what_only_looks_like_it_passes(sql, agent):
    assert gate(sql, agent.limits) is None


def test_size_counts_bytes_not_characters(agent):
    limits = dataclasses.replace(agent.limits, max_bytes=10)
    assert gate("é" * 5, limits) is None
    stopped = gate("é" * 6, limits)
    assert stopped is not None
    assert stopped.rule == "text.size"


def test_a_long_text_constant_is_one_token(agent):
    assert gate("SELECT '" + "word " * 15_000 + "'", agent.limits) is None


def test_more_tokens_than_can_be_analysed_in_time_are_refused(agent):
    stopped = gate("SELECT 1" + ", 1" * agent.limits.max_tokens, agent.limits)
    assert stopped is not None
    assert stopped.rule == "text.tokens"
