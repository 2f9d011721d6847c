"""Every case of the corpora gets the verdict that its file says."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, StatementClass, load_policies
from agentdb_mcp.core.guard.classes import TOOLS, tool_of

CORPUS = Path(__file__).parent / "corpus"
POLICIES = load_policies(assets.folder("policies"))
GUARD = Guard()


def _cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


HOSTILE = _cases("hostile.jsonl")
FRIENDLY = _cases("friendly.jsonl")
CARELESS = _cases("careless.jsonl")


@pytest.mark.parametrize("case", HOSTILE, ids=[case["id"] for case in HOSTILE])
def test_what_is_hostile_is_refused_by_its_rule(case):
    verdict = GUARD.inspect(case["sql"], POLICIES["agent"])
    assert verdict.rule == case["rule"]


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_hostile_is_refused_by_every_policy(name):
    passed = [case["id"] for case in HOSTILE if GUARD.inspect(case["sql"], POLICIES[name]).allowed]
    assert passed == []


@pytest.mark.parametrize("tool", TOOLS)
def test_what_is_hostile_is_refused_by_every_tool(tool):
    passed = [case["id"] for case in HOSTILE if GUARD.inspect(case["sql"], POLICIES["agent"], tool).allowed]
    assert passed == []


@pytest.mark.parametrize("case", FRIENDLY, ids=[case["id"] for case in FRIENDLY])
def test_what_is_friendly_passes_with_its_class(case):
    verdict = GUARD.inspect(case["sql"], POLICIES["agent"])
    assert (verdict.allowed, verdict.rule, verdict.statement_class.value) == (True, None, case["class"])


def test_what_is_friendly_belongs_to_one_tool_but_for_reads_that_may_call_what_writes():
    twice = 0
    for case in FRIENDLY:
        right = tool_of(StatementClass(case["class"]))
        verdicts = {tool: GUARD.inspect(case["sql"], POLICIES["agent"], tool) for tool in TOOLS}
        taken = [tool for tool in TOOLS if verdicts[tool].allowed]
        assert taken == [right] or taken == ["query", "execute"] == [right, "execute"], case["id"]
        assert {verdicts[tool].rule for tool in TOOLS if tool not in taken} == {"tool.mismatch"}, case["id"]
        twice += len(taken) - 1
    assert 0 < twice < len(FRIENDLY) * 0.1


def test_reading_only_allows_what_reads_and_nothing_else():
    for case in FRIENDLY:
        verdict = GUARD.inspect(case["sql"], POLICIES["readonly"])
        reads = case["class"] == "read" and not case["sql"].startswith("EXPLAIN")
        assert verdict.allowed or not reads, case["id"]
        assert not verdict.allowed or case["class"] == "read", case["id"]


def test_the_shared_database_takes_nearly_all_that_an_agents_own_does():
    refused = Counter(GUARD.inspect(case["sql"], POLICIES["global"]).rule for case in FRIENDLY)
    del refused[None]
    assert set(refused) == {"dml.update_all", "dml.delete_all", "ddl.cascade", "statement.command"}
    assert refused.total() < len(FRIENDLY) * 0.04


@pytest.mark.parametrize("case", CARELESS, ids=[case["id"] for case in CARELESS])
def test_what_is_careless_is_refused_where_agents_share_and_passes_where_one_is_alone(case):
    verdicts = {name: GUARD.inspect(case["sql"], POLICIES[name]) for name in case["policies"]}
    assert {name: verdict.rule for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, case["rule"])
    assert GUARD.inspect(case["sql"], POLICIES["agent"]).allowed


def test_refusals_point_into_the_text_and_teach():
    for case in HOSTILE:
        verdict = GUARD.inspect(case["sql"], POLICIES["agent"])
        assert verdict.message.endswith(
            (".", '"', "input", "'", "literal", "constant", "string", "comment")
        ), case
        assert verdict.hint, case
        assert "{" not in verdict.message.replace(verdict.found, ""), case
        assert verdict.position is None or 1 <= verdict.position <= len(case["sql"]) + 1, case


def test_ids_are_unique_and_families_are_large_enough_to_mean_something():
    for cases in (HOSTILE, FRIENDLY, CARELESS):
        ids = [case["id"] for case in cases]
        assert len(set(ids)) == len(ids)
        assert len({case["sql"] for case in cases}) == len(cases)
    assert len(HOSTILE) > 900
    assert len(FRIENDLY) > 400
