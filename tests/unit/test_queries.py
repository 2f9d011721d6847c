"""The store's SQL: every statement has its prose, and every one is used."""

import re
from pathlib import Path

import pytest

from agentdb_mcp.store.queries import query

STORE = Path(__file__).parents[2] / "src" / "agentdb_mcp" / "store"
TEXT = (STORE / "queries.sql").read_text()
NAMES = re.findall(r"^-- name: (\w+)$", TEXT, re.MULTILINE)


def test_every_statement_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES)) > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_begins_with_a_line_of_prose_and_is_one_statement(name: str) -> None:
    prose, *rest = query(name).splitlines()
    assert prose.startswith("-- ")
    assert ";" not in "\n".join(rest)


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_used(name: str) -> None:
    assert any(f'"{name}"' in path.read_text() for path in STORE.glob("*.py"))


def test_a_statement_that_is_not_there_is_a_fault_at_once() -> None:
    with pytest.raises(KeyError):
        query("no_such_statement")
