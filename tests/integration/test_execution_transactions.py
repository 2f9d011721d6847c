"""A transaction over several calls: what fails is undone alone, what is lost is undone whole, and it is said."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Denied, Invalid, Missing, SqlFailed, Unavailable
from agentdb_mcp.core.results import Caps, JsonValue
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.transactions import Transaction
from support.postgres import connected
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()
GOES_ON = "the transaction goes on as it was before it"


class Story:
    """One transaction on one database, and what others see of it."""

    def __init__(self, runner: Runner, target: Target, transaction: Transaction) -> None:
        self.runner = runner
        self.target = target
        self.transaction = transaction

    async def write(self, sql: str, *params: JsonValue, caps: Caps = CAPS) -> Any:
        return await self.runner.run(self.target, write(sql), params, caps, self.transaction)

    async def read(self, sql: str, caps: Caps = CAPS) -> Any:
        return (await self.runner.run(self.target, approved(sql), [], caps, self.transaction)).rows

    async def notes(self) -> list[Any]:
        return [row[0] for row in await self.read("SELECT id FROM note ORDER BY id")]

    async def committed(self) -> list[Any]:
        rows = (
            await self.runner.run(self.target, approved("SELECT id FROM note ORDER BY id"), [], CAPS)
        ).rows
        return [row[0] for row in rows]


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture
async def notes(runner: Runner, target: Target) -> Target:
    await runner.run(target, ddl("DROP TABLE IF EXISTS note CASCADE"), [], CAPS)
    await runner.run(target, ddl("CREATE TABLE note (id int PRIMARY KEY, body text)"), [], CAPS)
    return target


@pytest.fixture
async def story(runner: Runner, notes: Target) -> AsyncIterator[Story]:
    transaction = await runner.begin(notes, idle_seconds=60)
    yield Story(runner, notes, transaction)
    await transaction.roll_back()


@pytest.fixture
async def admin(admin_uri: ConnectionUri) -> AsyncIterator[Any]:
    async with connected(admin_uri) as connection:
        yield connection


async def is_busy(admin: Any, mark: str) -> bool:
    return await admin.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%'"
        " AND pid <> pg_backend_pid())",
        mark,
    )


async def test_its_statements_see_each_other_and_others_see_them_at_the_commit(story: Story) -> None:
    made = await story.write("INSERT INTO note VALUES (1, $1) RETURNING id", "one")
    assert (made.affected, made.rows) == (1, ((1,),))
    await story.runner.run(
        story.target, ddl("ALTER TABLE note ADD COLUMN more int"), [], CAPS, story.transaction
    )
    assert await story.read("SELECT * FROM note") == ((1, "one", None),)
    await story.transaction.commit()
    assert story.transaction.is_over
    assert await story.committed() == [1]
    with pytest.raises(Missing) as ended:
        await story.write("INSERT INTO note VALUES (2)")
    assert ended.value.code == "transaction_expired"


async def test_what_is_rolled_back_never_was(story: Story) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    assert await story.committed() == []
    await story.transaction.roll_back()
    await story.transaction.roll_back()
    assert await story.committed() == []


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("INSERT INTO note VALUES (2), (1)", []),
        ("INSERT INTO nowhere VALUES (1)", []),
        ("INSERT INTO note VALUES ($1)", ["two"]),
    ],
)
async def test_a_statement_that_fails_is_undone_alone(
    story: Story, sql: str, params: list[JsonValue]
) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    with pytest.raises(SqlFailed) as failed:
        await story.write(sql, *params)
    assert GOES_ON in failed.value.hint
    await story.write("INSERT INTO note VALUES (3)")
    assert await story.notes() == [1, 3]
    await story.transaction.commit()
    assert await story.committed() == [1, 3]


async def test_parameters_that_cannot_be_sent_leave_it_usable(story: Story) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    with pytest.raises(Invalid) as refused:
        await story.write("INSERT INTO note VALUES ($1)")
    assert GOES_ON in refused.value.hint
    assert await story.notes() == [1]


async def test_a_read_in_it_cannot_write_for_postgresql_either(story: Story) -> None:
    body = "CREATE FUNCTION jot() RETURNS int LANGUAGE sql AS 'INSERT INTO note VALUES (9) RETURNING id'"
    await story.runner.run(story.target, ddl(body), [], CAPS, story.transaction)
    with pytest.raises(SqlFailed) as failed:
        await story.read("SELECT jot()")
    assert failed.value.sqlstate == "25006"
    await story.write("SELECT jot()")
    assert await story.notes() == [9]


async def test_a_table_that_changed_its_shape_under_a_kept_read_is_read_anew_and_still_only_read(
    story: Story,
) -> None:
    await story.write("INSERT INTO note VALUES (1, 'one')")
    assert await story.read("SELECT * FROM note") == ((1, "one"),)
    alter = ddl("ALTER TABLE note ALTER COLUMN id TYPE bigint, ADD COLUMN more text DEFAULT 'more'")
    await story.runner.run(story.target, alter, [], CAPS, story.transaction)
    assert await story.read("SELECT * FROM note") == ((1, "one", "more"),)


async def test_a_rehearsal_in_it_leaves_it_as_it_was(story: Story) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    made = await story.runner.rehearse(
        story.target, [Step(write("DELETE FROM note"), [])], CAPS, story.transaction
    )
    assert (made.results[0].affected, made.touched[0].deleted) == (1, 1)
    assert await story.notes() == [1]


async def test_several_statements_of_one_call_are_undone_together(story: Story) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    two, again = (
        Step(write("INSERT INTO note VALUES (2)"), []),
        Step(write("INSERT INTO note VALUES (1)"), []),
    )
    with pytest.raises(SqlFailed) as failed:
        await story.runner.change(story.target, [two, again], CAPS, story.transaction)
    assert (failed.value.statement, await story.notes()) == (2, [1])
    await story.runner.change(
        story.target, [two, Step(write("DELETE FROM note WHERE id = 1"), [])], CAPS, story.transaction
    )
    assert await story.notes() == [2]


async def test_a_deadline_undoes_its_statement_and_nothing_else(story: Story, admin: Any) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    slow = (
        "WITH two AS (INSERT INTO note VALUES (2) RETURNING id) SELECT pg_sleep(60), id FROM two /* slow */"
    )
    with pytest.raises(Unavailable) as late:
        await story.write(slow, caps=Caps(seconds=0.3))
    assert (late.value.code, GOES_ON in late.value.hint) == ("query_timeout", True)
    assert "0.3 s" in late.value.message
    assert not await is_busy(admin, "/* slow */")
    assert await story.notes() == [1]
    await story.transaction.commit()
    assert await story.committed() == [1]


async def test_a_call_that_is_cancelled_undoes_its_statement_and_nothing_else(
    story: Story, admin: Any
) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    call = asyncio.create_task(
        story.write("WITH two AS (INSERT INTO note VALUES (2)) SELECT pg_sleep(60) /* gone */")
    )
    await until(lambda: is_busy(admin, "/* gone */"))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await story.notes() == [1]
    await story.transaction.commit()
    assert await story.committed() == [1]


async def test_a_statement_that_swallows_cancels_ends_the_transaction_and_its_backend(
    story: Story, admin: Any
) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    stubborn = """DO $$ BEGIN
      FOR n IN 1..60 LOOP
        BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'stubborn'; END;
      END LOOP;
    END $$"""
    with pytest.raises(Unavailable) as late:
        await story.write(stubborn, caps=Caps(seconds=0.2))
    assert late.value.code == "query_timeout"
    assert "The transaction was rolled back." in late.value.hint

    async def is_idle() -> bool:
        return not await is_busy(admin, "stubborn")

    await until(is_idle)
    assert story.transaction.is_over
    assert await story.committed() == []


async def test_one_call_has_it_to_itself(story: Story) -> None:
    with (
        story.transaction.alone(),
        pytest.raises(Denied, match="runs another statement") as denied,
        story.transaction.alone(),
    ):
        raise AssertionError("both had it")
    assert denied.value.code == "rate_limited"
    with story.transaction.alone():
        await story.write("INSERT INTO note VALUES (1)")
    assert await story.notes() == [1]


async def test_a_constraint_that_fails_at_the_commit_keeps_nothing(story: Story) -> None:
    late = "ALTER TABLE note ADD FOREIGN KEY (id) REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED"
    await story.runner.run(story.target, ddl("CREATE TABLE home (id int PRIMARY KEY)"), [], CAPS)
    late = late.replace("REFERENCES note", "REFERENCES home")
    await story.runner.run(story.target, ddl(late), [], CAPS, story.transaction)
    await story.write("INSERT INTO note VALUES (1)")
    with pytest.raises(SqlFailed) as failed:
        await story.transaction.commit()
    assert failed.value.sqlstate == "23503"
    assert "rolled back" in failed.value.hint
    assert await story.committed() == []
    await story.runner.run(story.target, ddl("DROP TABLE home CASCADE"), [], CAPS)


async def test_a_backend_that_is_ended_takes_the_transaction_with_it(story: Story, admin: Any) -> None:
    ((backend,),) = await story.read("SELECT pg_backend_pid()")
    await story.write("INSERT INTO note VALUES (1)")
    await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", backend)
    with pytest.raises(Unavailable) as lost:
        await story.write("INSERT INTO note VALUES (2)")
    assert lost.value.code == "database_unavailable"
    assert "with it the transaction" in lost.value.message
    assert "Nothing of it was kept" in lost.value.hint
    assert await story.committed() == []


async def test_a_backend_that_is_ended_in_mid_statement_takes_the_transaction_with_it(
    story: Story, admin: Any
) -> None:
    ((backend,),) = await story.read("SELECT pg_backend_pid()")
    call = asyncio.create_task(story.write("SELECT pg_sleep(60) /* ended */"))
    await until(lambda: is_busy(admin, "/* ended */"))
    await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", backend)
    with pytest.raises(Unavailable) as lost:
        await call
    assert "with it the transaction" in lost.value.message
    assert story.transaction.is_over


async def test_a_connection_lost_while_committing_leaves_a_doubt_and_says_so(
    runner: Runner, notes: Target
) -> None:
    async with watched(notes.writer) as (line, port):
        far = replace(notes, writer=through(notes.writer, port))
        story = Story(runner, far, await runner.begin(far, idle_seconds=60))
        await story.write("INSERT INTO note VALUES (1)")
        line.cut_at = "Q"
        with pytest.raises(Unavailable) as doubt:
            await story.transaction.commit()
    assert "not known" in doubt.value.message
    assert "all of the transaction's changes or none" in doubt.value.hint
    assert await story.committed() == []


async def test_a_connection_lost_before_it_began_is_no_transaction(runner: Runner, notes: Target) -> None:
    async with watched(notes.writer) as (line, port):
        far = replace(notes, writer=through(notes.writer, port))
        line.cut_at = "Q"
        with pytest.raises(Unavailable, match="before the transaction began"):
            await runner.begin(far, idle_seconds=60)


async def test_an_answer_too_large_to_be_given_leaves_it_as_it_was(story: Story) -> None:
    await story.write("INSERT INTO note VALUES (1)")
    with pytest.raises(Invalid) as flooded:
        await story.read("SELECT repeat('x', 40000000)")
    assert flooded.value.code == "result_too_large"
    assert GOES_ON in flooded.value.hint
    assert await story.notes() == [1]


async def test_the_server_ends_one_that_its_process_forgot(runner: Runner, notes: Target, admin: Any) -> None:
    forgotten = Story(runner, notes, await runner.begin(notes, idle_seconds=1))
    await forgotten.write("INSERT INTO note VALUES (1)")
    sql = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = $1)"
    name = (await runner.run(notes, approved("SELECT current_database()"), [], CAPS)).rows[0][0]
    await until(lambda: admin.fetchval(sql, name))
    with pytest.raises(Unavailable, match="with it the transaction"):
        await forgotten.write("INSERT INTO note VALUES (2)")


async def test_pools_that_close_end_it(notes: Target) -> None:
    closing = Pools(PoolLimits())
    story = Story(Runner(closing), notes, await Runner(closing).begin(notes, idle_seconds=60))
    await story.write("INSERT INTO note VALUES (1)")
    await closing.close()
    with pytest.raises(Unavailable, match="with it the transaction"):
        await story.notes()
    with pytest.raises(Missing):
        await story.notes()
