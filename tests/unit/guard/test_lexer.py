"""Tokens as PostgreSQL cuts them."""

import pytest

from agentdb_mcp.core.guard.lexer import TokenKind, code, tokens

CASES = [
    ("SELECT a", ["SELECT", "a"]),
    ("a--b\nc", ["a", "--b", "c"]),
    ("a /* /* x */ y */ b", ["a", "/* /* x */ y */", "b"]),
    ("/* /**/**/ x", ["/* /**/**/", "x"]),
    ("/*/**/ x", ["/*/**/ x"]),
    ("'it''s' x", ["'it''s'", "x"]),
    (r"'a\' x", [r"'a\'", "x"]),
    (r"E'a\'b' x", [r"E'a\'b'", "x"]),
    ("U&'a' U&\"b\" x", ["U&'a'", 'U&"b"', "x"]),
    ("B'1' X'f' N'n' nb'x'", ["B'1'", "X'f'", "N'n'", "nb", "'x'"]),
    ("$$a'b$$ $t$ $$ $t$ x", ["$$a'b$$", "$t$ $$ $t$", "x"]),
    ("a$b$c$b$ x", ["a$b$c$b$", "x"]),
    ("$1::text,a$ b", ["$1", ":", ":", "text", ",", "a$", "b"]),
    ('"a""b" c', ['"a""b"', "c"]),
    ("a:=1", ["a", ":=", "1"]),
    ("a=-1", ["a", "=", "-", "1"]),
    ("a@-1", ["a", "@-", "1"]),
    ("a+/*x*/b", ["a", "+", "/*x*/", "b"]),
    ("1..10", ["1..10"]),
    ("'open", ["'open"]),
    ("$a$open", ["$a$open"]),
    ("/* open", ["/* open"]),
    ("a\u00a0b \u017fx", ["a\u00a0b", "\u017fx"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_text_is_cut_where_postgresql_cuts_it(text, expected):
    assert [token.text for token in tokens(text)] == expected


def test_code_leaves_out_what_is_only_data():
    found = list(code("SELECT 'x' /* y */ -- z\n, \"q\""))
    assert [(token.text, token.kind) for token in found] == [
        ("SELECT", TokenKind.WORD),
        (",", TokenKind.OTHER),
        ('"q"', TokenKind.QUOTED),
    ]


def test_places_are_characters_of_the_text():
    text = "é 'ü' x"
    assert [text[token.start : token.end] for token in tokens(text)] == ["é", "'ü'", "x"]
