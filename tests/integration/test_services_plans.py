"""What a statement would cost: PostgreSQL is asked, nothing is run, and a bound holds."""

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Denied, Invalid, SqlFailed
from agentdb_mcp.core.guard import ApprovedSql, Guard, load_policies
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.plans import Planner
from support.statements import ddl, write

POLICY = load_policies(assets.folder("policies"))["agent"]
RUNAWAY = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"


def approved(sql: str) -> ApprovedSql:
    return Guard().approve(sql, POLICY)


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture
async def planner(runner: Runner, target: Target) -> Planner:
    await runner.run(
        target, ddl("CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, note text)"), [], Caps()
    )
    return Planner(runner)


async def test_a_plan_knows_its_parameters(planner: Planner, target: Target) -> None:
    plan, pace = await planner.plan(target, approved("SELECT * FROM item WHERE id = $1"), [7])
    assert any("7" in (step.condition or "") for step in plan.steps)
    assert 0 < pace.milliseconds <= 1
    assert pace.work_memory > 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO item VALUES (1, 'x')",
        "UPDATE item SET note = 'x' WHERE id = 1",
        "DELETE FROM item WHERE id = 1",
        "CREATE TABLE copy AS SELECT * FROM item",
        "SELECT * FROM item FOR UPDATE",
        "WITH gone AS (DELETE FROM item RETURNING *) SELECT * FROM gone",
    ],
)
async def test_a_change_is_planned_and_not_made(
    planner: Planner, runner: Runner, target: Target, sql: str
) -> None:
    await runner.run(target, write("INSERT INTO item VALUES (1, 'here') ON CONFLICT DO NOTHING"), [], Caps())
    plan, _ = await planner.plan(target, approved(sql), [])
    assert plan.cost > 0
    rows = await runner.read(target, "SELECT id, note, to_regclass('copy') FROM item", [], Caps())
    assert rows.rows == ((1, "here", None),)


async def test_a_function_that_lies_about_itself_changes_nothing_while_it_is_planned(
    planner: Planner, runner: Runner, target: Target
) -> None:
    for statement in (
        (
            "CREATE OR REPLACE FUNCTION act(n int) RETURNS int LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO item VALUES (n + 100, 'lie'); RETURN n; END $$"
        ),
        (
            "CREATE OR REPLACE FUNCTION lie(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN act(n); END $$"
        ),
    ):
        await runner.run(target, ddl(statement), [], Caps())
    for sql in ("SELECT * FROM item WHERE id = lie(1)", "UPDATE item SET note = 'x' WHERE id = lie(1)"):
        with pytest.raises(SqlFailed) as caught:
            await planner.plan(target, approved(sql), [])
        assert caught.value.sqlstate == "25006"
    found = await runner.read(target, "SELECT count(*) FROM item WHERE note = 'lie'", [], Caps())
    assert found.rows == ((0,),)


@pytest.mark.parametrize(
    "sql", ["EXPLAIN SELECT 1", "CREATE TABLE x (id int)", "TRUNCATE item", "SHOW work_mem"]
)
async def test_what_has_no_plan_is_refused_in_words(planner: Planner, target: Target, sql: str) -> None:
    with pytest.raises(Invalid) as caught:
        await planner.plan(target, approved(sql), [])
    assert "without EXPLAIN" in caught.value.hint


async def test_a_statement_above_the_bound_is_refused_with_its_cost_and_a_suspicion(
    planner: Planner, target: Target
) -> None:
    with pytest.raises(Denied) as caught:
        await planner.weigh(target, approved(RUNAWAY), [], 1_000_000)
    assert caught.value.code == "plan_too_costly"
    assert "1,000,000" in caught.value.message
    assert "joins every row with every row" in caught.value.message


@pytest.mark.parametrize(
    ("sql", "most"),
    [
        (RUNAWAY, None),
        (RUNAWAY, 10**12),
        ("SELECT 1 + 1", 1),
        ("CREATE TABLE y (id int)", 1),
        ("SELECT * FROM not_there", 1),
        ("SELECT * FROM item WHERE id = $1", 10_000),
    ],
)
async def test_the_rest_passes(planner: Planner, target: Target, sql: str, most: int | None) -> None:
    assert await planner.weigh(target, approved(sql), [], most) is None


async def test_a_statement_that_is_cheap_is_not_asked_about_again_for_a_while(
    planner: Planner, runner: Runner, target: Target
) -> None:
    await runner.run(target, ddl("CREATE TABLE grows (n int)"), [], Caps())
    sql = approved("SELECT count(*) FROM grows a, grows b")
    try:
        await planner.weigh(target, sql, [], 50_000_000)
        await runner.run(target, write("INSERT INTO grows SELECT generate_series(1, 100000)"), [], Caps())
        await runner.run(target, ddl("ANALYZE grows"), [], Caps())
        for _ in range(100):
            await planner.weigh(target, sql, [], 50_000_000)
        with pytest.raises(Denied):
            await planner.weigh(target, sql, [], 50_000_000)
    finally:
        await runner.run(target, ddl("DROP TABLE grows"), [], Caps())


async def test_planning_ends_after_two_seconds(planner: Planner, runner: Runner, target: Target) -> None:
    slow = (
        "CREATE OR REPLACE FUNCTION slow() RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM count(*) FROM generate_series(1, 1000000000); RETURN 1; END $$"
    )
    await runner.run(target, ddl(slow), [], Caps())
    with pytest.raises(Denied) as caught:
        await planner.weigh(target, approved("SELECT * FROM item WHERE id = slow()"), [], 1_000)
    assert "could not even plan" in caught.value.message
