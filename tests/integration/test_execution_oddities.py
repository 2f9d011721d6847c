"""What a result does not often hold: each given exactly, there and back, or refused with a clear error."""

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import SqlFailed
from agentdb_mcp.core.guard import keyset_of
from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.results import Caps, Cell, Column
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import approved, ddl, write

CAPS = Caps(rows=1)

NAMES = (
    "with \"quotes\" and 'more'",
    "ünïcødé 日本 😀",
    "x" * 63,
    "ß" * 31,
    "line\nbreak",
    "$1",
    "; --",
)


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_of_any_kind_stays_as_it_is_in_tables_columns_types_and_pages(
    runner: Runner, target: Target, name: str
) -> None:
    quoted = quote_identifier(name)
    for sql in (
        f"CREATE SCHEMA {quoted}",
        f"CREATE TYPE public.{quoted} AS ENUM ('a')",
        f"CREATE TABLE {quoted}.{quoted} ({quoted} int PRIMARY KEY, kind public.{quoted} DEFAULT 'a')",
    ):
        await runner.run(target, ddl(sql), [], CAPS)
    insert = f"INSERT INTO {quoted}.{quoted} ({quoted}) VALUES (1), (2), (3)"
    await runner.run(target, write(insert), [], CAPS)
    read = f"SELECT * FROM {quoted}.{quoted} ORDER BY {quoted}"
    page = await runner.run(target, approved(read), [], CAPS)
    assert page.columns[0] == Column(name, "integer")
    assert page.rows == ((1, "a"),)
    keyset = keyset_of(read)
    place = keyset and Place.behind(keyset, page)
    assert keyset is not None
    assert place is not None
    following = approved(keyset.following(0, 2))
    found = await runner.seek(target, following, place.keys, CAPS, keyset)
    assert found is not None
    assert (found.rows, found.columns) == (((2, "a"),), page.columns)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("float8", "NaN"),
        ("float8", "-Infinity"),
        ("numeric", "NaN"),
        ("numeric", "-Infinity"),
        ("date", "infinity"),
        ("date", "-infinity"),
        ("date", "4713-01-01 BC"),
        ("date", "5874897-12-31"),
        ("timestamp", "infinity"),
        ("timestamp", "4713-01-01 00:00:00 BC"),
        ("timestamptz", "-infinity"),
        ("timestamptz", "294276-12-31 23:59:59.999999+00"),
        ("time", "24:00:00"),
        ("interval", "P178000000Y"),
        ("tstzrange", "[infinity,)"),
        ("int4multirange", "{[1,3),[5,)}"),
        ("pg_lsn", "16/B374D848"),
        ("tid", "(0,1)"),
        ("xid8", "18446744073709551615"),
        ("macaddr8", "08:00:2b:01:02:03:04:05"),
        ("jsonpath", '$."a"'),
    ],
)
async def test_a_value_of_any_kind_comes_back_as_it_was_sent(
    runner: Runner, target: Target, kind: str, text: str
) -> None:
    found = await runner.run(target, approved(f"SELECT $1::{kind}"), [text], CAPS)
    assert found.rows == ((text,),)


@pytest.mark.parametrize(
    ("kind", "text", "sqlstate"),
    [
        ("date", "5874898-01-01", "22008"),
        ("date", "2026-02-30", "22008"),
        ("timestamp", "294277-01-01", "22008"),
        ("timestamptz", "4714-01-01 BC", "22008"),
        ("interval", "P179000000Y", "22008"),
        ("smallint", "32768", "22003"),
        ("float8", "1e400", "22003"),
        ("numeric", "0x", "22P02"),
        ("nobody_heard_of", "1", "42704"),
    ],
)
async def test_a_value_out_of_range_is_said_to_be_so(
    runner: Runner, target: Target, kind: str, text: str, sqlstate: str
) -> None:
    with pytest.raises(SqlFailed) as failed:
        await runner.run(target, approved(f"SELECT $1::{kind}"), [text], CAPS)
    assert failed.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    ("made", "expression", "cell"),
    [
        ("CREATE TYPE pair AS (a int, b text)", "'(1,\"x,y\")'::pair", '(1,"x,y")'),
        ("CREATE TYPE pairs AS (p pair[])", "ROW(ARRAY[ROW(1, 'a')::pair])::pairs", '("{""(1,a)""}")'),
        ("CREATE DOMAIN small AS int CHECK (VALUE < 10)", "7::small", 7),
        ("CREATE TYPE span AS RANGE (subtype = text)", "span('a', 'b')", "[a,b)"),
        ("CREATE TYPE mood AS ENUM ('so, so', 'null')", "ARRAY['so, so', 'null']::mood[]", ["so, so", "null"]),
    ],
)  # fmt: skip
async def test_a_type_that_was_just_made_is_given_as_text(
    runner: Runner, target: Target, made: str, expression: str, cell: Cell
) -> None:
    await runner.run(target, ddl(made), [], CAPS)
    assert (await runner.run(target, approved(f"SELECT {expression}"), [], CAPS)).rows == ((cell,),)


async def test_columns_of_one_name_stay_two_and_none_stay_none(runner: Runner, target: Target) -> None:
    twice = await runner.run(target, approved("SELECT 1 AS a, 'b' AS a"), [], CAPS)
    assert (twice.columns, twice.rows) == ((Column("a", "integer"), Column("a", "text")), ((1, "b"),))
    none = await runner.run(target, approved("SELECT FROM generate_series(1, 3)"), [], Caps(rows=2))
    assert (none.columns, none.rows, none.truncated) == ((), ((), ()), "rows")
