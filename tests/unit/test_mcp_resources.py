"""Addresses of what a database holds, and prompts: any name survives, and nothing else is taken for ours."""

import re
from pathlib import Path

import pytest

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.mcp.addresses import Address
from agentdb_mcp.entrypoints.mcp.prompts import PROMPTS


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address(Kind.AGENT), "agentdb://agent/tables"),
        (Address(Kind.GLOBAL, ("public", "customer")), "agentdb://global/tables/public/customer"),
        (
            Address(Kind.AGENT, ("a/b", "Ünï %?#\n")),
            "agentdb://agent/tables/a%2Fb/%C3%9Cn%C3%AF%20%25%3F%23%0A",
        ),
        (Address(Kind.AGENT, ("..", "é" * 31)), "agentdb://agent/tables/../" + "%C3%A9" * 31),
    ],
)
def test_an_address_reads_back_as_it_was(address: Address, text: str) -> None:
    assert str(address) == text
    assert Address.parsed(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agentdb://",
        "agentdb://agent",
        "agentdb://agent/",
        "agentdb://agent/views",
        "agentdb://agent/tables/",
        "agentdb://agent/tables/public",
        "agentdb://agent/tables/public/",
        "agentdb://agent/tables/public/a/b",
        "agentdb://other/tables",
        "AGENTDB://agent/tables",
        "file:///etc/passwd",
        "agentdb://agent/tables/public/%ff",
        "agentdb://agent/tables/public/" + "x" * 1_000,
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert Address.parsed(text) is None


def test_a_prompt_holds_what_it_was_given_and_names_its_database() -> None:
    text = PROMPTS["explain_slow_query"].text({"sql": "SELECT $1 -- $database ${x}", "database": "global"})
    assert "SELECT $1 -- $database ${x}" in text, "what people write is not read as blanks"
    assert 'the database "global"' in text
    assert 'the database "agent"' in PROMPTS["explore"].text({})


@pytest.mark.parametrize(
    ("prompt", "given", "words"),
    [
        ("design_schema", {}, "design_schema needs the argument purpose"),
        ("design_schema", {"purpose": "  "}, "design_schema needs the argument purpose"),
        ("explore", {"table": "x"}, "explore has no argument 'table'; it takes database"),
    ],
)
def test_a_prompt_says_what_it_takes(prompt: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PROMPTS[prompt].text(given)


def test_the_prompts_stay_short() -> None:
    for prompt in PROMPTS.values():
        assert len(prompt.template) <= 1_600, prompt.name


def test_the_reference_page_has_every_prompt_with_its_arguments() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/resources.md").read_text()
    told = {
        name: re.findall(r"(\*\*)?`(\w+)`", arguments)
        for name, arguments in re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    }
    assert told == {
        prompt.name: [("**" * argument.required, argument.name) for argument in prompt.arguments]
        for prompt in PROMPTS.values()
    }
