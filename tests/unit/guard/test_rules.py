"""docs/reference/guard-rules.md and the code say the same, and the examples do what they say."""

import re
from pathlib import Path

import pytest

from agentdb_mcp.core.guard.rules import RULES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "guard-rules.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| (\w+) \| (.*) \| (.*) \|$", re.MULTILINE)


def _example(cell: str) -> str:
    return cell.strip().strip("`").replace(r"\|", "|")


ROWS = _ROW.findall(PAGE)
EXAMPLES = [
    (rule, policy, _example(bad), _example(good)) for rule, _, policy, bad, good in ROWS if _example(bad)
]
TOOLS = {"tool.mismatch": "query"}


def test_every_rule_is_documented_and_every_documented_rule_exists():
    assert [rule for rule, *_ in ROWS] == list(dict.fromkeys(rule for rule, *_ in ROWS))
    assert {rule for rule, *_ in ROWS} == set(RULES)


@pytest.mark.parametrize("example", EXAMPLES, ids=[rule for rule, *_ in EXAMPLES])
def test_the_examples_of_a_rule_do_what_the_page_says(guard, policies, example):
    rule, policy, bad, good = example
    assert guard.inspect(bad, policies[policy], TOOLS.get(rule)).rule == rule
    verdict = guard.inspect(good, policies[policy], TOOLS.get(rule))
    assert (verdict.rule, verdict.allowed) == (None, True)


def test_every_rule_has_words_that_teach():
    for rule in RULES.values():
        assert rule.hint.endswith((".", "{instead}")), rule.id
        assert rule.message == "{found}" or rule.message.endswith("."), rule.id


def test_every_rule_of_the_code_can_be_reached(guard, policies):
    """Rules without an example on the page have their cases in test_gates, test_completeness and test_guard."""
    with_example = {rule for rule, *_ in EXAMPLES}
    elsewhere = {rule for rule in RULES if rule.startswith("text.")} | {
        "statement.unknown",
        "parser.disagreement",
        "guard.internal",
    }
    assert with_example | elsewhere == set(RULES)
    assert not with_example & elsewhere
