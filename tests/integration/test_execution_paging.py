"""A read goes on where it was cut, exactly or not at all, and leaves nothing open."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, Missing, SqlFailed, Unavailable
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import Asked, Caps, Cell, JsonValue, ResultSet
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps(rows=3)


class Reading:
    """A caller that reads page by page."""

    def __init__(
        self, runner: Runner, target: Target, sql: str, *params: JsonValue, caps: Caps = CAPS
    ) -> None:
        self._runner = runner
        self._target = target
        self._sql = approved(sql)
        self._params = params
        self._caps = caps
        self._pages: tuple[Page, ...] = ()
        self.truncated: str | None = None

    async def page(self, *, rows: int | None = None, most: int | None = None) -> tuple[tuple[Cell, ...], ...]:
        caps = self._caps.lowered(Asked(rows=rows, bytes=most))
        found = await self._ask(caps)
        self._pages = (*self._pages, Page.of(found.columns, found.rows, found.longest))
        self.truncated = found.truncated
        return found.rows

    async def _ask(self, caps: Caps) -> ResultSet:
        if not self._pages:
            return await self._runner.run(self._target, self._sql, self._params, caps)
        return await self._runner.resume(
            self._target, self._sql, self._params, caps, pages=self._pages, most_bytes=self._caps.bytes
        )

    async def rest(self) -> list[tuple[Cell, ...]]:
        rows = list(await self.page())
        while self.truncated:
            rows += await self.page()
        return rows


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture
async def numbers(runner: Runner, target: Target) -> str:
    """A table of ten."""
    await runner.run(target, ddl("DROP TABLE IF EXISTS numbers"), [], CAPS)
    await runner.run(target, ddl("CREATE TABLE numbers (n int PRIMARY KEY, t text)"), [], CAPS)
    await runner.run(
        target, write("INSERT INTO numbers SELECT n, 't' || n FROM generate_series(1, 10) n"), [], CAPS
    )
    return "SELECT n FROM numbers ORDER BY n"


async def change(runner: Runner, target: Target, sql: str) -> None:
    await runner.run(target, write(sql), [], CAPS)


async def test_all_pages_together_are_the_result(runner: Runner, target: Target) -> None:
    for last in range(13):
        reading = Reading(runner, target, "SELECT generate_series(1, $1::int)", last)
        assert await reading.rest() == [(number,) for number in range(1, last + 1)]


async def test_a_page_may_be_smaller_than_the_one_before(runner: Runner, target: Target) -> None:
    reading = Reading(runner, target, "SELECT generate_series(1, 9)")
    sizes = [len(await reading.page(rows=rows)) for rows in (3, 1, 2, 100)]
    assert sizes == [3, 1, 2, 3]
    assert reading.truncated is None


async def test_a_page_may_have_fewer_bytes_than_the_one_before(runner: Runner, target: Target) -> None:
    sql = "SELECT repeat('x', 996) FROM generate_series(1, 9)"  # 1,000 bytes a row, and a comma
    reading = Reading(runner, target, sql)
    sizes = [len(await reading.page(most=most)) for most in (None, 1_002, None)]
    assert sizes == [3, 1, 3]


async def test_an_answer_cut_by_its_bytes_goes_on_with_the_first_row_that_did_not_fit(
    runner: Runner, target: Target
) -> None:
    sql = "SELECT n, repeat('ä\"', n * 50) FROM generate_series(1, 30) n"
    reading = Reading(runner, target, sql, caps=Caps(rows=10, bytes=6_100))
    assert [row[0] for row in await reading.rest()] == list(range(1, 31))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT FROM generate_series(1, 10)",
        "SELECT ARRAY['\"', '\\', NULL, repeat('{', n)] FROM generate_series(1, 10) n",
        "SELECT n AS a, -n AS a, 'NaN'::float8, 'infinity'::date, 1.10 FROM generate_series(1, 10) n",
        "VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)",
    ],
)
async def test_rows_of_any_kind_go_on(runner: Runner, target: Target, sql: str) -> None:
    whole = await runner.run(target, approved(sql), [], Caps())
    assert await Reading(runner, target, sql).rest() == list(whole.rows)
    assert len(whole.rows) == 10


async def test_what_comes_behind_the_pages_given_may_change(
    runner: Runner, target: Target, numbers: str
) -> None:
    reading = Reading(runner, target, numbers)
    await reading.page()
    await change(runner, target, "DELETE FROM numbers WHERE n = 5")
    await change(runner, target, "INSERT INTO numbers VALUES (11)")
    assert [row[0] for row in await reading.rest()] == [4, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM numbers WHERE n = 1",
        "INSERT INTO numbers VALUES (0)",
        "UPDATE numbers SET n = -n WHERE n = 3",
        "DELETE FROM numbers",
    ],
)
async def test_rows_given_before_that_are_no_longer_the_same_end_the_reading(
    runner: Runner, target: Target, numbers: str, sql: str
) -> None:
    reading = Reading(runner, target, numbers)
    await reading.page()
    await reading.page()
    await change(runner, target, sql)
    with pytest.raises(Missing) as missing:
        await reading.page()
    assert missing.value.code == "cursor_expired"
    assert "ORDER BY a unique key" in missing.value.hint


async def test_a_statement_that_never_says_the_same_twice_does_not_go_on(
    runner: Runner, target: Target
) -> None:
    reading = Reading(runner, target, "SELECT random() FROM generate_series(1, 10)")
    await reading.page()
    with pytest.raises(Missing):
        await reading.page()


async def test_columns_that_changed_end_the_reading(runner: Runner, target: Target, numbers: str) -> None:
    reading = Reading(runner, target, "SELECT * FROM numbers ORDER BY n")
    await reading.page()
    await runner.run(target, ddl("ALTER TABLE numbers RENAME t TO u"), [], CAPS)
    with pytest.raises(Missing) as missing:
        await reading.page()
    assert missing.value.code == "cursor_expired"


async def test_a_table_dropped_in_mid_paging_is_postgresqls_to_refuse(
    runner: Runner, target: Target, numbers: str
) -> None:
    reading = Reading(runner, target, numbers)
    await reading.page()
    await runner.run(target, ddl("DROP TABLE numbers"), [], CAPS)
    with pytest.raises(SqlFailed) as failed:
        await reading.page()
    assert failed.value.sqlstate == "42P01"


async def test_the_order_of_a_large_table_does_not_depend_on_who_else_scans_it(
    runner: Runner, target: Target, pools: Pools, admin_uri: ConnectionUri
) -> None:
    """PostgreSQL lets a scan of a large table begin where another one is, unless it is told not to."""
    session = await pools.pool(target, "reader").take()
    assert await session.fetchval("SHOW synchronize_seqscans") == "off"
    pools.pool(target, "reader").give(session, tidy=False)
    async with connected(admin_uri) as admin:
        assert await admin.fetchval("SHOW synchronize_seqscans") == "on"


async def activity(admin: Any, target: Target) -> list[tuple[str, str]]:
    name = dsn.arguments(target.reader.reveal())["database"]
    rows = await admin.fetch("SELECT state, query FROM pg_stat_activity WHERE datname = $1", name)
    return [(row["state"], row["query"]) for row in rows]


async def test_nothing_stays_open_between_two_pages(
    runner: Runner, target: Target, numbers: str, admin_uri: ConnectionUri
) -> None:
    reading = Reading(runner, target, numbers)
    await reading.page()
    await reading.page()
    async with connected(admin_uri) as admin:
        assert {state for state, _ in await activity(admin, target)} == {"idle"}
    await runner.run(target, ddl("ALTER TABLE numbers ADD COLUMN more int"), [], replace(CAPS, seconds=2))
    assert [row[0] for row in await reading.rest()] == [7, 8, 9, 10]


async def test_a_reading_keeps_to_one_connection_and_gives_it_back(target: Target) -> None:
    async with watched(target.reader) as (line, port):
        pools = Pools(PoolLimits())
        reading = Reading(
            Runner(pools),
            replace(target, reader=through(target.reader, port)),
            "SELECT generate_series(1, 9)",
        )
        await reading.rest()
        assert line.connections == 1
        await pools.close()


async def test_a_refused_continuation_costs_the_pool_no_place(runner: Runner, target: Target) -> None:
    for _ in range(PoolLimits().size + 1):
        reading = Reading(runner, target, "SELECT random() FROM generate_series(1, 10)")
        await reading.page()
        with pytest.raises(Missing):
            await reading.page()
    assert await Reading(runner, target, "SELECT 1").rest() == [(1,)]


async def test_a_reading_goes_on_over_a_connection_that_was_lost(target: Target, numbers: str) -> None:
    async with watched(target.reader) as (line, port):
        pools = Pools(PoolLimits())
        reading = Reading(Runner(pools), replace(target, reader=through(target.reader, port)), numbers)
        await reading.page()
        for number, kind in enumerate("QBE", 4):
            line.cut_at, line.cuts = kind, 1
            assert await reading.page(rows=1) == ((number,),)
        assert (line.cuts, line.connections) == (0, 4)
        await pools.close()


async def test_a_continuation_is_stopped_at_its_deadline(
    runner: Runner, target: Target, admin_uri: ConnectionUri
) -> None:
    sql = "SELECT n, CASE WHEN n > 5 THEN pg_sleep(60)::text END FROM generate_series(1, 9) n /* slow page */"
    reading = Reading(runner, target, sql, caps=Caps(rows=3, seconds=0.5))
    await reading.page()
    with pytest.raises(Unavailable) as unavailable:
        await reading.page()
    assert unavailable.value.code == "query_timeout"
    async with connected(admin_uri) as admin:

        async def stopped() -> bool:
            return not [query for state, query in await activity(admin, target) if "slow page" in query and state == "active"]  # fmt: skip

        await until(stopped)


async def test_a_caller_that_leaves_in_mid_continuation_leaves_the_pool_whole(target: Target) -> None:
    pools = Pools(PoolLimits(size=1))
    runner = Runner(pools)
    for after in range(12):
        reading = Reading(runner, target, "SELECT generate_series(1, 9)")
        await reading.page()
        leaving = asyncio.create_task(reading.page())
        for _ in range(after):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    assert await Reading(runner, target, "SELECT 'whole'").rest() == [("whole",)]
    await pools.close()


async def test_a_row_too_large_for_any_page_is_refused_where_it_stands(
    runner: Runner, target: Target
) -> None:
    sql = "SELECT repeat('x', CASE n WHEN 5 THEN 20000 ELSE 1 END) FROM generate_series(1, 9) n"
    reading = Reading(runner, target, sql, caps=Caps(rows=3, bytes=10_000))
    await reading.page()
    assert await reading.page() == (("x",),)
    with pytest.raises(Invalid) as invalid:
        await reading.page()
    assert invalid.value.code == "result_too_large"


def test_pages_are_equal_when_their_columns_and_cells_are() -> None:
    """JSON tells 1, 1.0, "1", true and null apart, which Python's equality does not."""
    cells: list[Cell] = [1, 1.0, "1", True, None, [1], "", 0, False, [None], "null", "\ud800"]
    assert len({Page.of((), ((cell,),), 9).digest for cell in cells}) == len(cells)
    assert Page.of((), ((1,), (2,)), 9) == Page.of((), ((1,), (2,)), 9)
