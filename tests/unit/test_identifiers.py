"""Names of ours reach SQL quoted, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.identifiers import quote_identifier, quote_literal


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", '"a"'), ('a"b', '"a""b"'), ("A b", '"A b"'), ('"; DROP TABLE x; --', '"""; DROP TABLE x; --"')],
)
def test_a_name_is_delimited_and_its_quotes_doubled(name: str, quoted: str) -> None:
    assert quote_identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_a_name_postgres_would_refuse_or_cut_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        quote_identifier(name)


@given(st.text(min_size=1, max_size=15).filter(lambda text: "\0" not in text))
def test_no_text_gets_out_of_its_quotes(name: str) -> None:
    inside = quote_identifier(name)[1:-1]
    assert inside.replace('""', "").count('"') == 0


@pytest.mark.parametrize(
    ("value", "quoted"), [("a", "'a'"), ("it's", "'it''s'"), ("a\\b", " E'a\\\\b'"), ("\\'", " E'\\\\'''")]
)
def test_a_string_constant_keeps_its_value(value: str, quoted: str) -> None:
    assert quote_literal(value) == quoted


def test_a_string_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote_literal("a\0")
