"""Hosts write references; a literal URL is refused and not repeated."""

import pytest

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.references import served_databases


@pytest.mark.parametrize(
    ("word", "reference", "served"),
    [
        (None, None, (Kind.AGENT, Kind.GLOBAL)),
        ("both", None, (Kind.AGENT, Kind.GLOBAL)),
        ("agent", None, (Kind.AGENT,)),
        ("global", None, (Kind.GLOBAL,)),
        (None, "${AGENT_DB_URL}", (Kind.AGENT,)),
        (None, "${GLOBAL_DB_URL}", (Kind.GLOBAL,)),
    ],
)
def test_both_spellings_name_the_same(
    word: str | None, reference: str | None, served: tuple[Kind, ...]
) -> None:
    assert served_databases(word, reference) == served


@pytest.mark.parametrize(
    ("word", "reference"),
    [
        ("neither", None),
        ("both", "${AGENT_DB_URL}"),
        (None, "postgresql://u:hunter2@h/d"),
        (None, ""),
        (None, "$AGENT_DB_URL"),
    ],
)
def test_anything_else_is_refused(word: str | None, reference: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        served_databases(word, reference)
    assert refused.value.code == "bad_argument"
    assert "hunter2" not in str(refused.value)
