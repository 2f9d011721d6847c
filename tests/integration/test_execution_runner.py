"""An approved statement runs as the right role, in one round trip, within its caps, or fails in our words."""

import asyncio
from dataclasses import replace

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.guard import StatementClass
from agentdb_mcp.core.results import Caps, Column
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.mark.parametrize(
    ("klass", "role"),
    [(StatementClass.READ, "r_"), (StatementClass.WRITE, "w_"), (StatementClass.DDL, "w_")],
)
async def test_reads_run_as_the_reader_and_all_else_as_the_writer(
    runner: Runner, target: Target, klass: StatementClass, role: str
) -> None:
    found = await runner.run(target, approved("SELECT current_user", klass), [], CAPS)
    assert str(found.rows[0][0]).startswith(role)


async def test_planning_ends_at_the_deadline_too(runner: Runner, target: Target) -> None:
    parts = [f"a{n} AS NOT MATERIALIZED (SELECT p.x FROM a{n - 1} p, a{n - 1} q)" for n in range(1, 16)]
    doubling = ", ".join(["a0 AS NOT MATERIALIZED (SELECT 1 AS x)", *parts])
    with pytest.raises(Unavailable) as late:
        await runner.run(target, approved(f"WITH {doubling} SELECT count(*) FROM a15"), [], Caps(seconds=0.5))
    assert late.value.code == "query_timeout"
    assert (await runner.run(target, approved("SELECT 1"), [], CAPS)).rows == ((1,),)


async def test_a_result_has_columns_rows_and_a_command(runner: Runner, target: Target) -> None:
    found = await runner.run(target, approved("SELECT $1::int AS n, 'x' AS t"), [7], CAPS)
    assert found.columns == (Column("n", "integer"), Column("t", "text"))
    assert found.rows == ((7, "x"),)
    assert (found.command, found.affected, found.truncated, found.notices) == ("SELECT 1", None, None, ())


async def test_a_prepared_read_is_one_round_trip(runner: Runner, target: Target) -> None:
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        sql = approved("SELECT n FROM generate_series(1, $1::int) AS n")
        await runner.run(far, sql, [3], CAPS)
        line.clear()
        for _ in range(10):
            await runner.run(far, sql, [3], CAPS)
        assert line.round_trips == 10
        assert set(line.sent) == {"B", "E", "S"}
        assert line.connections == 1


async def test_a_new_read_is_two_round_trips(runner: Runner, target: Target) -> None:
    async with watched(target.reader) as (line, port):
        far = replace(target, reader=through(target.reader, port))
        await runner.run(far, approved("SELECT 1"), [], CAPS)
        line.clear()
        await runner.run(far, approved("SELECT 2"), [], CAPS)
        assert line.round_trips == 2


async def test_a_write_answers_after_one_round_trip_and_is_tidied_up_afterwards(
    runner: Runner, target: Target
) -> None:
    await runner.run(target, ddl("CREATE TABLE tidied (a int)"), [], CAPS)
    async with watched(target.writer) as (line, port):
        far = replace(target, writer=through(target.writer, port))
        sql = write("INSERT INTO tidied VALUES ($1)")
        await runner.run(far, sql, [1], CAPS)
        await runner.run(far, sql, [2], CAPS)

        async def tidied() -> bool:
            return line.sent["Q"] == 2

        await until(tidied)
        line.clear()
        await runner.run(far, sql, [3], CAPS)
        assert line.sent["S"] == 1
        await runner.run(far, sql, [4], CAPS)
        assert (line.sent["S"], line.sent["Q"], line.connections) == (2, 1, 1)


async def test_the_row_cap_stops_the_server_and_is_said(runner: Runner, target: Target) -> None:
    found = await runner.run(
        target, approved("SELECT generate_series(1, 1000000000)"), [], Caps(rows=2, seconds=20)
    )
    assert (found.rows, found.truncated, found.command) == (((1,), (2,)), "rows", "")


async def test_as_many_rows_as_the_cap_are_not_truncated(runner: Runner, target: Target) -> None:
    found = await runner.run(target, approved("SELECT generate_series(1, 2)"), [], Caps(rows=2))
    assert (len(found.rows), found.truncated, found.command) == (2, None, "SELECT 2")


async def test_the_byte_cap_cuts_rows_and_is_said(runner: Runner, target: Target) -> None:
    found = await runner.run(
        target, approved("SELECT repeat('x', 1000) FROM generate_series(1, 100)"), [], Caps(bytes=10_000)
    )
    assert (len(found.rows), found.truncated) == (9, "bytes")


async def test_a_read_whose_first_row_is_too_large_is_refused(runner: Runner, target: Target) -> None:
    with pytest.raises(Invalid) as caught:
        await runner.run(target, approved("SELECT repeat('x', 20000)"), [], Caps(bytes=10_000))
    assert caught.value.code == "result_too_large"
    assert "10,000" in caught.value.message


async def test_a_write_is_never_refused_for_what_it_returns(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE wide (body text)"), [], CAPS)
    found = await runner.run(
        target, write("INSERT INTO wide VALUES (repeat('x', 20000)) RETURNING body"), [], Caps(bytes=10_000)
    )
    assert (found.rows, found.truncated, found.affected) == ((), "bytes", 1)


async def test_a_write_counts_the_rows_it_touched(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE counted (a int PRIMARY KEY)"), [], CAPS)
    inserted = await runner.run(target, write("INSERT INTO counted SELECT generate_series(1, 5)"), [], CAPS)
    updated = await runner.run(target, write("UPDATE counted SET a = a + 10 WHERE a > 3"), [], CAPS)
    deleted = await runner.run(target, write("DELETE FROM counted WHERE a < 3 RETURNING a"), [], CAPS)
    merged = await runner.run(
        target,
        write("MERGE INTO counted USING (VALUES (3)) v(a) ON counted.a = v.a WHEN MATCHED THEN DELETE"),
        [],
        CAPS,
    )
    assert [found.affected for found in (inserted, updated, deleted, merged)] == [5, 2, 2, 1]
    assert deleted.rows == ((1,), (2,))


@pytest.mark.parametrize("rows", [100, 300_000])
async def test_a_write_is_complete_and_counted_when_what_it_returns_is_cut(
    runner: Runner, target: Target, rows: int
) -> None:
    await runner.run(target, ddl("CREATE TABLE IF NOT EXISTS complete (a int)"), [], CAPS)
    await runner.run(target, write("TRUNCATE complete"), [], CAPS)
    found = await runner.run(
        target,
        write("INSERT INTO complete SELECT generate_series(1, $1::int) RETURNING a"),
        [rows],
        Caps(rows=3),
    )
    assert (found.rows, found.truncated) == (((1,), (2,), (3,)), "rows")
    assert (found.affected, found.command) == (rows, f"INSERT 0 {rows}")
    assert 0 < (found.size or 0) < 1_000
    counted = await runner.run(target, approved("SELECT count(*) FROM complete"), [], CAPS)
    assert counted.rows == ((rows,),)


async def test_a_change_that_remarks_without_end_is_made_and_known_to_be(
    runner: Runner, target: Target
) -> None:
    notices = "DO $$ BEGIN FOR i IN 1..150000 LOOP RAISE NOTICE '%', repeat('n', 1000); END LOOP; END $$"
    found = await runner.run(target, write(notices), [], CAPS)
    assert (found.command, len(found.notices)) == ("DO", 20)


async def test_what_postgresql_refuses_comes_back_in_its_own_words(runner: Runner, target: Target) -> None:
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, approved("SELECT nope FROM pg_class c WHERE c.relnam = 'x'"), [], CAPS)
    assert (caught.value.sqlstate, caught.value.position) == ("42703", 8)
    assert caught.value.message == 'column "nope" does not exist'


async def test_a_broken_constraint_is_named_with_its_table(runner: Runner, target: Target) -> None:
    await runner.run(
        target, ddl("CREATE TABLE strict (a int CONSTRAINT is_positive CHECK (a > 0))"), [], CAPS
    )
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, write("INSERT INTO strict VALUES (-1)"), [], CAPS)
    body = caught.value.as_dict()
    assert (body["sqlstate"], body["schema"], body["table"], body["constraint"]) == (
        "23514", "public", "strict", "is_positive",
    )  # fmt: skip
    assert body["detail"] == "Failing row contains (-1)."


async def test_the_reader_is_refused_a_write_by_postgresql_itself(runner: Runner, target: Target) -> None:
    await runner.run(target, ddl("CREATE TABLE guarded (a int)"), [], CAPS)
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, approved("INSERT INTO guarded VALUES (1)"), [], CAPS)
    assert caught.value.sqlstate in {"25006", "42501"}


async def test_a_function_that_writes_is_for_the_writer_and_the_reader_is_told(
    runner: Runner, target: Target
) -> None:
    for sql in (
        "CREATE TABLE tally (a int)",
        "CREATE FUNCTION count_one() RETURNS int LANGUAGE sql AS 'INSERT INTO tally VALUES (1) RETURNING a'",
    ):
        await runner.run(target, ddl(sql), [], CAPS)
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, approved("SELECT count_one()"), [], CAPS)
    assert caught.value.sqlstate == "25006"
    assert "`execute`" in caught.value.hint
    made = await runner.run(target, write("SELECT count_one()"), [], CAPS)
    assert (made.rows, made.affected) == (((1,),), None)
    found = await runner.run(target, approved("SELECT count(*) FROM tally"), [], CAPS)
    assert found.rows == ((1,),)


async def test_several_statements_in_one_are_refused(runner: Runner, target: Target) -> None:
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, approved("SELECT 1; SELECT 2"), [], CAPS)
    assert caught.value.sqlstate == "42601"


@pytest.mark.parametrize(
    ("params", "word"),
    [([], "none given"), ([1, 2], "2 given"), (["a\0"], "NUL"), ([1] * 100_000, "100,000")],
)
async def test_parameters_that_cannot_be_sent_are_refused(
    runner: Runner, target: Target, params: list, word: str
) -> None:
    sql = approved("SELECT $1::text")
    with pytest.raises(Invalid) as caught:
        await runner.run(target, sql, params, CAPS)
    assert caught.value.code == "bad_argument"
    assert word in caught.value.message
    assert (await runner.run(target, sql, ["fine"], CAPS)).rows == (("fine",),)


async def test_a_parameter_that_does_not_fit_its_type_is_postgresqls_to_refuse(
    runner: Runner, target: Target
) -> None:
    with pytest.raises(SqlFailed) as caught:
        await runner.run(target, approved("SELECT $1::int"), ["seven"], CAPS)
    assert caught.value.sqlstate == "22P02"


async def test_a_table_that_changed_its_shape_is_read_all_the_same(runner: Runner, target: Target) -> None:
    sql = approved("SELECT * FROM shape")
    await runner.run(target, ddl("CREATE TABLE shape AS SELECT 1 AS a"), [], CAPS)
    assert (await runner.run(target, sql, [], CAPS)).rows == ((1,),)
    await runner.run(target, ddl("ALTER TABLE shape ADD b int DEFAULT 2"), [], CAPS)
    found = await runner.run(target, sql, [], CAPS)
    assert [column.name for column in found.columns] == ["a", "b"]
    assert found.rows == ((1, 2),)


async def test_notices_come_with_the_result(runner: Runner, target: Target) -> None:
    found = await runner.run(target, ddl("DROP TABLE IF EXISTS never_there"), [], CAPS)
    assert found.notices == ('NOTICE: table "never_there" does not exist, skipping',)


async def test_what_postgresql_says_while_parsing_is_a_notice_too(runner: Runner, target: Target) -> None:
    sql = approved(f"SELECT 1 AS {'long' * 20}")
    first = await runner.run(target, sql, [], CAPS)
    assert "will be truncated" in first.notices[0]
    assert (await runner.run(target, sql, [], CAPS)).notices == ()


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM (ANALYZE) kept_up",
        "CREATE INDEX CONCURRENTLY kept_up_a ON kept_up (a)",
        "REINDEX TABLE CONCURRENTLY kept_up",
        "ALTER TYPE kept_up_kind ADD VALUE 'other'",
        "ANALYZE kept_up",
        "DROP INDEX CONCURRENTLY kept_up_a",
    ],
)
async def test_statements_that_shun_transactions_run(runner: Runner, target: Target, statement: str) -> None:
    await runner.run(target, ddl("CREATE TABLE IF NOT EXISTS kept_up (a int)"), [], CAPS)
    if statement.startswith("ALTER TYPE"):
        await runner.run(target, ddl("CREATE TYPE kept_up_kind AS ENUM ('one')"), [], CAPS)
    found = await runner.run(target, ddl(statement), [], CAPS)
    assert statement.startswith(found.command)


async def test_a_write_leaves_no_settings_to_the_next(runner: Runner, target: Target) -> None:
    await runner.run(target, write("SELECT set_config('search_path', 'elsewhere', false)"), [], CAPS)
    found = await runner.run(target, write("SELECT current_setting('search_path')"), [], CAPS)
    assert found.rows == (("public, extensions",),)


async def test_a_session_that_reads_quotes_otherwise_is_not_used_again(
    runner: Runner, target: Target
) -> None:
    changing = approved("SELECT set_config('standard_conforming_strings', 'off', false), pg_backend_pid()")
    ((_, first),) = (await runner.run(target, changing, [], CAPS)).rows
    found = await runner.run(
        target, approved("SELECT current_setting('standard_conforming_strings'), pg_backend_pid()"), [], CAPS
    )
    assert found.rows[0][0] == "on"
    assert found.rows[0][1] != first


async def test_statements_of_one_agent_run_side_by_side(runner: Runner, target: Target) -> None:
    sql = approved("SELECT pg_backend_pid(), pg_sleep(0.05)")
    found = await asyncio.gather(*[runner.run(target, sql, [], CAPS) for _ in range(12)])
    backends = {result.rows[0][0] for result in found}
    assert len(found) == 12
    assert len(backends) == 4
