"""The page on values says what a session gives: every example of docs/reference/values.md is run."""

import json
import re
from pathlib import Path

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.parameters import MOST_PARAMETERS
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.session import MOST_BYTES
from support.statements import approved

PAGE = (Path(__file__).parents[2] / "docs/reference/values.md").read_text()
EXAMPLES = re.findall(r"^\| [^|]*\| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) > 40


@pytest.mark.parametrize(("expression", "expected"), EXAMPLES)
async def test_an_example_is_true(pools: Pools, target: Target, expression: str, expected: str) -> None:
    found = await Runner(pools).run(target, approved(f"SELECT {expression}"), [], Caps())
    assert json.dumps(found.rows[0][0]) == expected


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"at most {MOST_PARAMETERS:,} parameters" in PAGE
    assert f"more than {MOST_BYTES // 1024**2} MB" in PAGE
