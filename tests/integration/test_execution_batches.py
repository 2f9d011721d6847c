"""Several statements in one call: in order, all of them or none, and the one that failed is named."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.guard import ApprovedSql, StatementClass
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import approved, ddl, write
from support.wire import through, watched

CAPS = Caps()


@pytest.fixture
async def runner(pools: Pools, target: Target) -> Runner:
    runner = Runner(pools)
    await change(
        runner,
        target,
        ddl("DROP TABLE IF EXISTS account, pair CASCADE"),
        ddl("CREATE TABLE account (id int PRIMARY KEY, cents int NOT NULL CHECK (cents >= 0))"),
        ddl(
            "CREATE TABLE pair (id int PRIMARY KEY, other int REFERENCES pair DEFERRABLE INITIALLY DEFERRED)"
        ),
        write("INSERT INTO account VALUES (1, 100), (2, 0)"),
    )
    return runner


async def change(
    runner: Runner,
    target: Target,
    *parts: ApprovedSql | tuple[ApprovedSql, list[JsonValue]],
    caps: Caps = CAPS,
) -> Sequence[ResultSet]:
    steps = [Step(*part) if isinstance(part, tuple) else Step(part, []) for part in parts]
    return (await runner.change(target, steps, caps)).results


async def accounts(runner: Runner, target: Target) -> object:
    return (await runner.run(target, approved("SELECT * FROM account ORDER BY id"), [], CAPS)).rows


async def test_each_statement_has_a_result_of_its_own_in_order(runner: Runner, target: Target) -> None:
    taken, given, read = await change(
        runner,
        target,
        (write("UPDATE account SET cents = cents - $1 WHERE id = $2"), [30, 1]),
        write("UPDATE account SET cents = cents + 30 WHERE id = 2 RETURNING cents"),
        approved("SELECT sum(cents) FROM account"),
    )
    assert (taken.affected, taken.rows) == (1, ())
    assert (given.affected, given.rows) == (1, ((30,),))
    assert (read.affected, read.rows) == (None, ((100,),))
    assert await accounts(runner, target) == ((1, 70), (2, 30))


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        ((write("UPDATE account SET cents = -1 WHERE id = 1"), []), "sql_failed"),
        ((write("UPDATE acount SET cents = 1"), []), "sql_failed"),
        ((write("UPDATE account SET cents = $1"), []), "bad_argument"),
        ((write("UPDATE account SET cents = $1"), ["\0"]), "bad_argument"),
    ],
)
async def test_one_that_fails_is_named_and_none_takes_effect(
    runner: Runner, target: Target, failing: tuple[ApprovedSql, list[JsonValue]], code: str
) -> None:
    paid = write("UPDATE account SET cents = cents + 1")
    with pytest.raises((SqlFailed, Invalid)) as failed:
        await change(runner, target, paid, paid, failing, paid)
    assert (failed.value.code, failed.value.statement) == (code, 3)
    assert failed.value.as_dict()["statement"] == 3
    assert await accounts(runner, target) == ((1, 100), (2, 0))


async def test_the_position_of_an_error_is_that_within_its_statement(runner: Runner, target: Target) -> None:
    with pytest.raises(SqlFailed) as failed:
        await change(
            runner, target, write("UPDATE account SET cents = 1"), write("UPDATE account SET cent = 2")
        )
    assert (failed.value.statement, failed.value.position) == (2, 20)


async def test_a_deferred_constraint_is_checked_at_the_commit_and_said_to_be(
    runner: Runner, target: Target
) -> None:
    await change(
        runner, target, write("INSERT INTO pair VALUES (1, 2)"), write("INSERT INTO pair VALUES (2, 1)")
    )
    with pytest.raises(SqlFailed) as failed:
        await change(runner, target, write("DELETE FROM pair WHERE id = 1"), write("SELECT 1"))
    body = failed.value.as_dict()
    assert (body["sqlstate"], body["constraint"], body["table"]) == ("23503", "pair_other_fkey", "pair")
    assert "deferred" in body["when"]
    assert "statement" not in body
    remaining = await runner.run(target, approved("SELECT count(*) FROM pair"), [], CAPS)
    assert remaining.rows == ((2,),)


async def test_a_schema_and_its_rows_change_together(runner: Runner, target: Target) -> None:
    add = ddl("ALTER TABLE account ADD COLUMN name text")
    fill = write("UPDATE account SET name = 'n' || id")
    with pytest.raises(SqlFailed):
        await change(runner, target, add, fill, ddl("ALTER TABLE account ALTER COLUMN nam SET NOT NULL"))
    found = await runner.run(target, approved("SELECT * FROM account WHERE id = 1"), [], CAPS)
    assert [column.name for column in found.columns] == ["id", "cents"]
    await change(runner, target, add, fill, ddl("ALTER TABLE account ALTER COLUMN name SET NOT NULL"))
    assert await accounts(runner, target) == ((1, 100, "n1"), (2, 0, "n2"))


async def test_a_statement_kept_from_before_a_change_of_its_table_runs_anew(
    runner: Runner, target: Target
) -> None:
    everything = write("UPDATE account SET cents = cents + 1 RETURNING *")
    await change(runner, target, everything, everything)
    await change(runner, target, ddl("ALTER TABLE account ADD COLUMN more int"), write("SELECT 1"))
    first, second = await change(runner, target, everything, everything)
    assert sorted(first.rows) == [(1, 103, None), (2, 3, None)]
    assert sorted(second.rows) == [(1, 104, None), (2, 4, None)]


async def test_all_results_together_stay_within_the_caps(runner: Runner, target: Target) -> None:
    series = "INSERT INTO account SELECT n, 0 FROM generate_series({}, {}) n RETURNING id"
    first, second, third = await change(
        runner,
        target,
        write(series.format(10, 14)),
        write(series.format(20, 29)),
        approved("SELECT * FROM account"),
        caps=Caps(rows=8),
    )
    assert (len(first.rows), first.truncated, first.affected) == (5, None, 5)
    assert (len(second.rows), second.truncated, second.affected) == (3, "rows", 10)
    assert (len(third.rows), third.truncated) == (0, "rows")


@pytest.mark.parametrize(
    "alone",
    [
        "VACUUM account",
        "CREATE INDEX CONCURRENTLY a ON account (cents)",
        "REINDEX TABLE CONCURRENTLY account",
    ],
)
async def test_what_has_transactions_of_its_own_is_sent_alone(
    runner: Runner, target: Target, alone: str
) -> None:
    with pytest.raises(SqlFailed) as failed:
        await change(runner, target, write("UPDATE account SET cents = 7"), ddl(alone))
    assert (failed.value.sqlstate, failed.value.statement) == ("25001", 2)
    assert "send it alone" in failed.value.hint
    assert await accounts(runner, target) == ((1, 100), (2, 0))


async def test_one_deadline_holds_for_all_of_them(runner: Runner, target: Target) -> None:
    slow = write("UPDATE account SET cents = cents + 1 WHERE pg_sleep(0.4) IS NOT NULL AND id = 1")
    with pytest.raises(Unavailable) as late:
        await change(runner, target, slow, slow, slow, slow, caps=Caps(seconds=0.9))
    assert late.value.code == "query_timeout"
    assert await accounts(runner, target) == ((1, 100), (2, 0))


@pytest.mark.parametrize(("kind", "cuts", "in_doubt"), [("B", 2, False), ("Q", 2, True)])
async def test_a_lost_connection_leaves_doubt_only_once_the_commit_was_sent(
    runner: Runner, target: Target, kind: str, cuts: int, in_doubt: bool
) -> None:
    """The messages B bind a statement; the second Q is the commit."""
    async with watched(target.writer) as (line, port):
        pools = Pools(PoolLimits())
        far = replace(target, writer=through(target.writer, port))
        line.spared, line.cut_at = cuts - 1, kind
        with pytest.raises(Unavailable) as lost:
            await change(Runner(pools), far, write("UPDATE account SET cents = 5"), write("SELECT 1"))
        assert ("not known" in lost.value.message) is in_doubt
        await pools.close()
    assert await accounts(runner, target) == ((1, 100), (2, 0))


async def test_a_select_whose_functions_write_is_never_left_half_done(runner: Runner, target: Target) -> None:
    """PostgreSQL runs it only as far as rows are asked of it."""
    body = "INSERT INTO pair VALUES (n) RETURNING id"
    await change(runner, target, ddl(f"CREATE FUNCTION jot(n int) RETURNS int LANGUAGE sql AS '{body}'"))
    jots = "SELECT public.jot(n) FROM generate_series(1, {}) AS n"
    (made,) = await change(runner, target, calling(jots.format(2_000)), caps=Caps(rows=1))
    assert (made.rows, made.truncated, made.command) == (((1,),), "rows", "SELECT 2000")
    counted = await runner.run(target, approved("SELECT count(*) FROM pair"), [], CAPS)
    assert counted.rows == ((2_000,),)
    await change(runner, target, ddl("DROP FUNCTION jot"))


def calling(text: str) -> ApprovedSql:
    """A read by its text that is run as a change, for the functions it calls."""
    return approved(text, StatementClass.WRITE, StatementClass.READ)
