"""The store's SQL: every statement has its prose, and every one is used."""

import re
from pathlib import Path

import pytest

from agentdb_mcp import assets
from agentdb_mcp.store.queries import query

STORE = Path(__file__).parents[2] / "src" / "agentdb_mcp" / "store"
FILES = ("queries.sql", "audit.sql")
NAMES = [
    (file, name)
    for file in FILES
    for name in re.findall(r"^-- name: (\w+)$", (STORE / file).read_text(), re.MULTILINE)
]


def test_every_statement_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES)) > 20


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_statement_begins_with_a_line_of_prose_and_is_one_statement(file: str, name: str) -> None:
    prose, *rest = assets.statements(STORE / file)[name].splitlines()
    assert prose.startswith("-- ")
    assert ";" not in "\n".join(rest)


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_statement_is_used(file: str, name: str) -> None:
    assert any(f'"{name}"' in path.read_text() for path in STORE.glob("*.py"))


def test_a_statement_that_is_not_there_is_a_fault_at_once() -> None:
    with pytest.raises(KeyError):
        query("no_such_statement")
