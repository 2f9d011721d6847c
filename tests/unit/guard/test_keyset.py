"""A read goes on behind its last row only where its text leaves no doubt about its order."""

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, Keyset, keyset_of, load_policies
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.results import Column, CutText, ResultSet


@pytest.mark.parametrize(
    ("sql", "relation", "keys", "descending"),
    [
        ("SELECT * FROM t ORDER BY id", ("t",), ("id",), False),
        ("SELECT id, name FROM s.t ORDER BY id DESC", ("s", "t"), ("id",), True),
        ("SELECT t.id FROM t ORDER BY t.id ASC", ("t",), ("id",), False),
        ("SELECT x.*, 1 AS one FROM t AS x WHERE f(x.a) > $1 ORDER BY x.a, id", ("t",), ("a", "id"), False),
        ('SELECT "I d" FROM "T" ORDER BY "I d"', ("T",), ("I d",), False),
        ("SELECT id, $1::int, 'a'::text AS b FROM t ORDER BY a DESC, id DESC", None, (), True),
        ("SELECT id, a FROM t WHERE a IN (SELECT b FROM u LIMIT 3) ORDER BY id", ("t",), ("id",), False),
        (" ; SELECT id FROM t ORDER BY id; -- the end", ("t",), ("id",), False),
    ],
)
def test_rows_of_one_table_in_the_order_of_columns_they_show_are_recognized(
    sql: str, relation: tuple[str, ...] | None, keys: tuple[str, ...], descending: bool
) -> None:
    keyset = keyset_of(sql)
    if relation is None:
        assert keyset is None  # `a` is not among the results
        return
    assert keyset is not None
    assert (keyset.relation, keyset.keys, keyset.descending) == (relation, keys, descending)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM t",
        "SELECT id FROM t ORDER BY 1",
        "SELECT id FROM t ORDER BY id + 0",
        "SELECT id FROM t ORDER BY id, name",
        "SELECT id, name FROM t ORDER BY id, name DESC",
        "SELECT id FROM t ORDER BY id NULLS FIRST",
        "SELECT id FROM t ORDER BY id USING >",
        'SELECT id FROM t ORDER BY id COLLATE "C"',
        "SELECT -id AS id FROM t ORDER BY id",
        "SELECT id::text FROM t ORDER BY id",
        "SELECT id AS a, a AS id FROM t ORDER BY id",
        "SELECT id, generate_series(1, 3) FROM t ORDER BY id",
        "SELECT id, a + b FROM t ORDER BY id",
        "SELECT DISTINCT id FROM t ORDER BY id",
        "SELECT id FROM t GROUP BY id ORDER BY id",
        "SELECT id FROM t ORDER BY id LIMIT 5",
        "SELECT id FROM t ORDER BY id OFFSET 5",
        "SELECT id FROM t ORDER BY id FOR UPDATE",
        "SELECT id FROM t UNION SELECT id FROM t ORDER BY id",
        "WITH t AS (SELECT 1 AS id) SELECT id FROM t ORDER BY id",
        "SELECT id FROM t, u ORDER BY id",
        "SELECT id FROM t JOIN u USING (id) ORDER BY id",
        "SELECT id FROM ONLY t ORDER BY id",
        "SELECT id FROM t AS x (id) ORDER BY id",
        "SELECT u.id FROM t ORDER BY u.id",
        "SELECT s.t.id FROM s.t ORDER BY s.t.id",
        "SELECT id FROM (SELECT 1 AS id) t ORDER BY id",
        "SELECT id FROM f() AS t (id) ORDER BY id",
        "SELECT id FROM t TABLESAMPLE system (5) ORDER BY id",
        "SELECT id, * FROM f() ORDER BY id",
        "VALUES (1) ORDER BY 1",
        "TABLE t",
        "SELECT FROM t ORDER BY id",
        "EXPLAIN SELECT id FROM t ORDER BY id",
        "SELECT id FROM t ORDER BY id; SELECT 1",
        "SELECT",
        "not SQL",
    ],
)
def test_what_could_be_ordered_otherwise_or_give_a_row_twice_is_not(sql: str) -> None:
    assert keyset_of(sql) is None


def test_the_statement_stands_unchanged_within_ours() -> None:
    sql = '/* ä */ SELECT id, "a""b" FROM t WHERE x = $1 ORDER BY "a""b", id -- (\n;-- more'
    keyset = keyset_of(sql)
    assert keyset is not None
    assert keyset.body == sql.partition(";")[0]
    composed = keyset.following(1, 11)
    assert composed == (
        f"SELECT * FROM (\n{keyset.body}\n) AS page "
        'WHERE (page."a""b", page."id") > ($2, $3) ORDER BY page."a""b", page."id" LIMIT 11'
    )
    policy = load_policies(assets.folder("policies"))["agent"]
    assert Guard().approve(composed, policy, "query").text == composed


def test_a_read_from_the_last_row_on_goes_on_below_it() -> None:
    keyset = keyset_of("SELECT id FROM t ORDER BY id DESC")
    assert keyset is not None
    assert keyset.following(0, 3).endswith('WHERE (page."id") < ($1) ORDER BY page."id" DESC LIMIT 3')


KEYSET = Keyset(("t",), ("id",), descending=False, body="")


def page(kind: str, *cells: object, names: tuple[str, ...] = ("a", "id")) -> ResultSet:
    columns = (Column(names[0], "text"), Column(names[1], kind))
    return ResultSet(columns, tuple(("x", cell) for cell in cells), "")  # type: ignore[misc]


def test_a_page_ends_at_the_key_of_its_last_row() -> None:
    place = Place.behind(KEYSET, page("integer", 1, 7))
    assert place is not None
    assert place.keys == (7,)


@pytest.mark.parametrize(
    "found",
    [
        page("integer"),
        page("integer", None),
        page("text", CutText("a", 9)),
        page("double precision", 0.5),
        page("jsonb", "1"),
        page("integer", 1, names=("id", "id")),
        page("integer", 1, names=("a", "b")),
    ],
    ids=["no row", "null", "cut", "float", "json", "twice", "absent"],
)
def test_a_key_that_is_not_given_as_it_is_leads_nowhere(found: ResultSet) -> None:
    assert Place.behind(KEYSET, found) is None
