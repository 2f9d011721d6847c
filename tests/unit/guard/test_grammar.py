"""The committed table of the grammar against the installed library, which holds every name that it can write."""

import re
from functools import cache
from pathlib import Path

import pgparse

from agentdb_mcp.core.guard import grammar, plpgsql


@cache
def _written() -> tuple[frozenset[str], frozenset[str]]:
    """What the library's JSON writer can put before `:{`, and before any other `:`."""
    library = Path(str(pgparse.__file__)).read_bytes()
    objects = {found.decode() for found in re.findall(rb'\0"?(\w+)":\{', library)}
    objects |= {found.decode() for found in re.findall(rb'"(\w+)":\{', library)}
    others = {found.decode() for found in re.findall(rb'"(\w+)":', library)}
    return frozenset(objects), frozenset(others)


def test_the_library_writes_every_type_of_the_table():
    objects, _ = _written()
    assert set(grammar.node_types()) <= objects | {"A_Star", "CheckPointStmt"}


def test_the_library_writes_no_type_that_is_not_accounted_for():
    objects, _ = _written()
    types = {name for name in objects if name[0].isupper()}
    routine = {name for name in types if name.startswith("PLpgSQL_")}
    known = set(grammar.node_types()) | grammar.never_raw()
    assert types - routine - known == set()
    assert routine - plpgsql.NODES == set()


def test_the_library_writes_every_field_of_the_table():
    _, names = _written()
    fields = {field for fields in grammar.node_types().values() for field in fields}
    assert fields - names == set()


def test_structures_without_a_tag_are_types_of_the_table():
    forms = {form for fields in grammar.node_types().values() for form in fields.values()}
    structures = forms - {grammar.PLAIN, grammar.LIST, grammar.NODE}
    assert structures - grammar.node_types().keys() <= grammar.never_raw()


def test_raw_and_never_raw_do_not_overlap():
    assert not grammar.never_raw() & grammar.node_types().keys()


def test_the_grammar_is_the_one_that_the_library_parses():
    [raw] = pgparse.parse("MERGE INTO t USING s ON true WHEN NOT MATCHED BY SOURCE THEN DELETE")
    assert "MergeStmt" in raw["stmt"], "PostgreSQL 17's grammar knows NOT MATCHED BY SOURCE"
    assert grammar.GRAMMAR_MAJOR == 17
