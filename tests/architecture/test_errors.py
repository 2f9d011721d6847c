"""Error codes are a promise: each is documented, and nothing else is."""

import re
from pathlib import Path

import pytest

from agentdb_mcp.core.errors import FAMILIES, AgentDbError, Denied

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert documented == {code for family in FAMILIES for code in family.codes}


def test_a_code_belongs_to_one_family() -> None:
    codes = [code for family in FAMILIES for code in family.codes]
    assert len(codes) == len(set(codes))


def test_an_unknown_code_cannot_be_raised() -> None:
    with pytest.raises(ValueError, match="not a code"):
        Denied("whatever", "no")


def test_every_family_is_in_the_list() -> None:
    assert set(AgentDbError.__subclasses__()) == set(FAMILIES)
