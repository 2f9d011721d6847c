"""A read in the order of a key goes on behind it, whatever became of the rows before; else it does not."""

import asyncio

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import SqlFailed
from agentdb_mcp.core.guard import keyset_of
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.results import Caps, Cell, JsonValue, ResultSet
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import approved, ddl, write

CAPS = Caps(rows=3)

MADE = (
    "DROP SCHEMA IF EXISTS seek CASCADE",
    "CREATE SCHEMA seek",
    """CREATE TABLE seek.keyed (id bigint PRIMARY KEY, name text NOT NULL UNIQUE, "on ""a"" day" date NOT NULL,
        moment timestamptz NOT NULL, price numeric NOT NULL, loose int UNIQUE, part int NOT NULL, late int NOT NULL,
        said text COLLATE "C" NOT NULL, UNIQUE (part, id), UNIQUE (late) DEFERRABLE)""",
    'CREATE UNIQUE INDEX ON seek.keyed ("on ""a"" day")',
    "CREATE UNIQUE INDEX ON seek.keyed (moment DESC) INCLUDE (part)",
    "CREATE UNIQUE INDEX ON seek.keyed (price, moment)",
    "CREATE UNIQUE INDEX ON seek.keyed (said) WHERE id > 0",
    "CREATE UNIQUE INDEX ON seek.keyed ((id + 1))",
    """CREATE TABLE seek.parts (id int, p int NOT NULL, PRIMARY KEY (id, p)) PARTITION BY LIST (p)""",
    "CREATE TABLE seek.one PARTITION OF seek.parts FOR VALUES IN (1)",
    "CREATE TABLE seek.two PARTITION OF seek.parts FOR VALUES IN (2)",
    "CREATE TABLE seek.parent (id int PRIMARY KEY)",
    "CREATE TABLE seek.child () INHERITS (seek.parent)",
    "CREATE VIEW seek.seen AS SELECT id FROM seek.keyed",
)
FILLED = (
    """INSERT INTO seek.keyed SELECT n * 1000000000000000, chr(64 + n) || 'ä''"', DATE '0003-12-28 BC' + n,
        TIMESTAMPTZ '294276-12-31 00:00:00.000001+00' - n * interval '1 hour', n * 1.10, n, n % 2, n, n::text
        FROM generate_series(1, 10) n""",
    "INSERT INTO seek.parts SELECT n, 1 + n % 2 FROM generate_series(1, 10) n",
    "INSERT INTO seek.parent SELECT n FROM generate_series(1, 10) n",
)  # fmt: skip


@pytest.fixture(scope="module")
def filled(target: Target) -> Target:
    """A database with tables that have keys, and some that look as if they had."""

    async def fill() -> None:
        pools = Pools(PoolLimits())
        for sql in map(ddl, MADE):
            await Runner(pools).run(target, sql, [], CAPS)
        for sql in map(write, FILLED):
            await Runner(pools).run(target, sql, [], CAPS)
        await pools.close()

    asyncio.run(fill())
    return target


@pytest.fixture
def runner(pools: Pools, filled: Target) -> Runner:
    del filled
    return Runner(pools)


async def behind(
    runner: Runner, target: Target, found: ResultSet, sql: str, *params: JsonValue
) -> ResultSet | None:
    keyset = keyset_of(sql)
    place = keyset and Place.behind(keyset, found)
    assert keyset is not None
    assert place is not None
    text = keyset.following(len(params), CAPS.rows + 1)
    return await runner.seek(target, approved(text), [*params, *place.keys], CAPS, keyset)


@pytest.mark.parametrize(
    "order",
    ["id", "id DESC", "name", '"on ""a"" day"', "moment DESC", "price, moment", "part, id", "id, said", "price, id"],
)  # fmt: skip
async def test_pages_by_a_key_are_together_the_result(runner: Runner, target: Target, order: str) -> None:
    sql = f"SELECT * FROM seek.keyed WHERE loose < $1 ORDER BY {order} -- by key"
    whole = (await runner.run(target, approved(sql), [10], Caps())).rows
    page = await runner.run(target, approved(sql), [10], CAPS)
    rows: list[tuple[Cell, ...]] = list(page.rows)
    while page.truncated:
        following = await behind(runner, target, page, sql, 10)
        assert following is not None
        assert following.columns == page.columns
        page = following
        rows += page.rows
    assert (tuple(rows), len(rows)) == (whole, 9)


async def test_the_rows_of_a_partitioned_table_go_on_by_its_key(runner: Runner, target: Target) -> None:
    sql = "SELECT id, p FROM seek.parts ORDER BY id, p"
    page = await behind(runner, target, await runner.run(target, approved(sql), [], CAPS), sql)
    assert page is not None
    assert page.rows == ((4, 1), (5, 2), (6, 1))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT loose FROM seek.keyed ORDER BY loose",
        "SELECT part FROM seek.keyed ORDER BY part",
        "SELECT late FROM seek.keyed ORDER BY late",
        "SELECT said FROM seek.keyed ORDER BY said",
        "SELECT price FROM seek.keyed ORDER BY price",
        "SELECT id FROM seek.parent ORDER BY id",
        "SELECT id FROM seek.seen ORDER BY id",
    ],
    ids=["nullable", "not unique", "deferrable", "partial", "a part of a key", "inherited", "a view"],
)
async def test_what_is_no_key_is_not_gone_on_by(runner: Runner, target: Target, sql: str) -> None:
    assert await behind(runner, target, await runner.run(target, approved(sql), [], CAPS), sql) is None
    assert (await runner.run(target, approved("SELECT 1"), [], CAPS)).rows == ((1,),)


async def test_a_page_by_key_reads_no_row_of_those_before(runner: Runner, target: Target) -> None:
    keyset = keyset_of("SELECT id, name FROM seek.keyed WHERE part = 1 ORDER BY id")
    assert keyset is not None
    plan = await runner.run(
        target, approved(f"EXPLAIN {keyset.following(0, 4).replace('$1', '5')}"), [], Caps()
    )
    text = "\n".join(str(line) for (line,) in plan.rows)
    assert "Index Cond: ((part = 1) AND (id > 5))" in text
    assert "Sort" not in text


async def test_a_table_dropped_in_mid_paging_is_said_to_be_gone(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE seek.gone (id int PRIMARY KEY)"), [], CAPS)
    await runner.run(target, write("INSERT INTO seek.gone SELECT generate_series(1, 9)"), [], CAPS)
    sql = "SELECT id FROM seek.gone ORDER BY id"
    page = await runner.run(target, approved(sql), [], CAPS)
    await runner.run(target, ddl("DROP TABLE seek.gone"), [], CAPS)
    with pytest.raises(SqlFailed) as failed:
        await behind(runner, target, page, sql)
    assert failed.value.sqlstate == "42P01"
