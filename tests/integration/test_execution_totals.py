"""A read that was cut says how long it is where that is known, and about how long where it is not."""

from dataclasses import replace

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution import estimates
from agentdb_mcp.execution.estimates import estimated_rows
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import approved, write
from support.wire import through, watched

FEW = Caps(rows=3)


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


async def counted(
    runner: Runner, target: Target, sql: str, *params: JsonValue, caps: Caps = FEW
) -> tuple[str | None, int | None, int | None]:
    found: ResultSet = await runner.run(target, approved(sql), params, caps)
    return found.truncated, found.total, found.estimate


@pytest.mark.parametrize(
    ("caps", "why"), [(Caps(rows=50, bytes=500), "bytes"), (Caps(rows=50, tokens=150), "tokens")]
)
async def test_what_was_received_and_not_given_is_counted(
    runner: Runner, target: Target, caps: Caps, why: str
) -> None:
    sql = "SELECT repeat('x', 100) FROM generate_series(1, 50)"
    assert await counted(runner, target, sql, caps=caps) == (why, 50, None)


async def test_what_was_not_received_is_guessed_by_the_planner(runner: Runner, target: Target) -> None:
    sql = "SELECT n FROM generate_series(1, $1::int) n -- in words"
    assert await counted(runner, target, sql, 5_000) == ("rows", None, 5_000)


async def test_a_guess_that_must_be_wrong_is_not_told(runner: Runner, target: Target) -> None:
    sql = "SELECT n FROM generate_series(1, 100) n WHERE abs(n) % 1000 = n"
    assert await counted(runner, target, sql) == ("rows", None, None)


@pytest.mark.parametrize("sql", ["EXPLAIN SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", "SHOW ALL"])
async def test_what_has_no_plan_has_no_guess(runner: Runner, target: Target, sql: str) -> None:
    assert await counted(runner, target, sql) == ("rows", None, None)


async def test_whole_results_and_changes_are_not_guessed_about(runner: Runner, target: Target) -> None:
    assert await counted(runner, target, "SELECT 1") == (None, 1, None)
    await runner.run(target, write("SELECT 1"), [], FEW)
    changed = await runner.run(target, write("SELECT generate_series(1, 9)"), [], FEW)
    assert (changed.truncated, changed.total, changed.estimate) == ("rows", None, None)


async def test_a_guess_that_takes_too_long_is_not_waited_for(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "PATIENCE", 0)
    pools = Pools(PoolLimits(size=1))
    for _ in range(3):
        assert await counted(Runner(pools), target, "SELECT generate_series(1, 9)") == ("rows", None, None)
    await pools.close()


async def test_a_connection_lost_over_a_guess_costs_nobody_the_answer(target: Target) -> None:
    async with watched(target.reader) as (line, port):
        pools = Pools(PoolLimits())
        runner, far = Runner(pools), replace(target, reader=through(target.reader, port))
        sql = "SELECT generate_series(1, 9)"
        assert await counted(runner, far, sql) == ("rows", None, 9)
        line.cut_at, line.cuts = "P", 1
        assert await counted(runner, far, sql) == ("rows", None, None)
        assert (line.cuts, await counted(runner, far, sql)) == (0, ("rows", None, 9))
        await pools.close()


async def test_in_a_held_transaction_nothing_is_asked_that_could_end_it(target: Target, pools: Pools) -> None:
    pool = pools.pool(target, "reader")
    session = await pool.take()
    await session.hold(5)
    assert await estimated_rows(session, "SELECT 1", ()) is None
    session.let_go()
    await session.roll_back()
    assert await estimated_rows(session, "SELECT 1", ()) == 1
    pool.give(session, tidy=False)
