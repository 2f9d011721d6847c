"""A rehearsed change tells what it would do and fail at, and leaves nothing behind but the sequences' numbers."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Outcome, Sample, Touched
from agentdb_mcp.core.errors import Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()

SCHEMA = (
    "CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL)",
    """CREATE TABLE "order" (id int PRIMARY KEY, customer int
       REFERENCES customer ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)""",
    "INSERT INTO customer VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cem')",
    'INSERT INTO "order" SELECT n, n % 3 + 1 FROM generate_series(1, 12) n',
)


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture
async def shop(runner: Runner, target: Target) -> Target:
    await runner.run(target, ddl('DROP TABLE IF EXISTS customer, "order" CASCADE'), [], CAPS)
    for statement in SCHEMA:
        await runner.run(target, ddl(statement), [], CAPS)
    return target


async def rehearsed(runner: Runner, target: Target, sql: str, *params: JsonValue) -> Outcome:
    return await runner.rehearse(target, [Step(write(sql), params)], CAPS)


async def rehearse(runner: Runner, target: Target, sql: str, *params: JsonValue) -> ResultSet:
    (result,) = (await rehearsed(runner, target, sql, *params)).results
    return result


def counts(outcome: Outcome) -> list[Touched]:
    return [replace(each, sample=None) for each in outcome.touched]


async def state(runner: Runner, target: Target) -> Any:
    sql = 'SELECT (SELECT json_agg(c ORDER BY id) FROM customer c), (SELECT count(*) FROM "order")'
    return (await runner.run(target, approved(sql), [], CAPS)).rows


@pytest.mark.parametrize(
    ("sql", "affected", "touched"),
    [
        ("INSERT INTO customer VALUES (4, 'Dan')", 1, [Touched("public", "customer", 1, 0, 0)]),
        ("UPDATE customer SET name = 'x'", 3, [Touched("public", "customer", 0, 3, 0)]),
        (
            "DELETE FROM customer WHERE id < 3",
            2,
            [Touched("public", "customer", 0, 0, 2), Touched("public", "order", 0, 0, 8)],
        ),
        (
            """MERGE INTO customer c USING (VALUES (1), (2), (9)) v (id) ON c.id = v.id
               WHEN MATCHED AND v.id = 1 THEN UPDATE SET name = 'y'
               WHEN MATCHED THEN DELETE
               WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new')""",
            3,
            [Touched("public", "customer", 1, 1, 1), Touched("public", "order", 0, 0, 4)],
        ),
        ("DELETE FROM customer WHERE id = 99", 0, []),
    ],
)
async def test_a_rehearsal_counts_the_rows_of_each_table_and_undoes_all_of_it(
    runner: Runner, shop: Target, sql: str, affected: int, touched: list[Touched]
) -> None:
    before = await state(runner, shop)
    for _ in range(2):
        found = await rehearsed(runner, shop, sql)
        assert (found.results[0].affected, counts(found)) == (affected, touched)
    assert await state(runner, shop) == before


async def test_what_was_counted_is_what_the_change_then_does(runner: Runner, shop: Target) -> None:
    found = await rehearse(runner, shop, "DELETE FROM customer WHERE id = $1 RETURNING name", 1)
    assert found.rows == (("Ann",),)
    made = await runner.run(shop, write("DELETE FROM customer WHERE id = $1 RETURNING name"), [1], CAPS)
    assert (made.rows, made.affected) == (found.rows, found.affected)
    after = await rehearsed(runner, shop, "DELETE FROM customer WHERE id = $1 RETURNING name", 1)
    assert (after.results[0].affected, after.touched) == (0, ())


async def test_rows_before_and_after_are_shown_when_they_are_asked_for(runner: Runner, shop: Target) -> None:
    sql = "UPDATE customer SET name = upper(name) WHERE id = 1 RETURNING old.name, new.name"
    assert (await rehearse(runner, shop, sql)).rows == (("Ann", "ANN"),)


NAMES = ("id", "name")


@pytest.mark.parametrize(
    ("sql", "before", "after"),
    [
        (
            "UPDATE customer SET name = upper(name) WHERE id < 3",
            [("1", "Ann"), ("2", "Bob")],
            [("1", "ANN"), ("2", "BOB")],
        ),
        ("DELETE FROM customer WHERE id = 3", [("3", "Cem")], []),
        ("INSERT INTO customer VALUES (4, repeat('x', 1000))", [], [("4", "x" * 80)]),
        (
            """MERGE INTO customer c USING (VALUES (1), (9)) v (id) ON c.id = v.id
               WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new')""",
            [("1", "Ann")],
            [("9", "new")],
        ),
        # Nothing of the locked row's is said: it is as it was.
        (
            "WITH l AS (SELECT id FROM customer WHERE id = 1 FOR UPDATE) UPDATE customer SET name = 'z' WHERE id = 2 AND EXISTS (SELECT FROM l)",
            [("2", "Bob")],
            [("2", "z")],
        ),
    ],
)
async def test_rows_are_shown_as_they_were_and_as_they_would_be(
    runner: Runner, shop: Target, sql: str, before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    touched = (await rehearsed(runner, shop, sql)).touched[0]
    assert touched.sample == Sample(NAMES, tuple(before), tuple(after))


async def test_a_sample_is_a_few_rows_of_each_table_cascades_included(runner: Runner, shop: Target) -> None:
    customer, order = (await rehearsed(runner, shop, "DELETE FROM customer")).touched
    assert customer.sample is not None
    assert order.sample is not None
    assert (len(customer.sample.before), len(order.sample.before), order.deleted) == (3, 5, 12)
    assert (await rehearsed(runner, shop, "SELECT 1")).touched == ()


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("INSERT INTO customer VALUES (1, 'again')", "23505"),
        ("INSERT INTO customer VALUES (7, NULL)", "23502"),
        ('INSERT INTO "order" VALUES (99, 99)', "23503"),
        ("INSERT INTO nowhere VALUES (1)", "42P01"),
    ],
)
async def test_what_would_fail_fails_also_what_would_fail_only_at_the_commit(
    runner: Runner, shop: Target, sql: str, sqlstate: str
) -> None:
    before = await state(runner, shop)
    with pytest.raises(SqlFailed) as failed:
        await rehearse(runner, shop, sql)
    assert failed.value.sqlstate == sqlstate
    assert "nothing of it was kept" in failed.value.as_dict()["dry_run"]
    assert await state(runner, shop) == before


async def test_a_failed_rehearsal_keeps_its_connection(shop: Target) -> None:
    async with watched(shop.writer) as (line, port):
        pools = Pools(PoolLimits())
        far = replace(shop, writer=through(shop.writer, port))
        for _ in range(3):
            with pytest.raises(SqlFailed):
                await rehearse(Runner(pools), far, "INSERT INTO customer VALUES (1, 'again')")
        assert (await rehearse(Runner(pools), far, "DELETE FROM customer")).affected == 3
        assert line.connections == 1
        await pools.close()


async def test_the_rows_returned_are_capped_and_the_counts_are_not(runner: Runner, shop: Target) -> None:
    sql = write("INSERT INTO customer SELECT n, 'n' FROM generate_series(10, 509) n RETURNING *")
    outcome = await runner.rehearse(shop, [Step(sql, [])], Caps(rows=2, bytes=1_000))
    (found,) = outcome.results
    assert (len(found.rows), found.truncated, found.affected) == (2, "rows", 500)
    assert counts(outcome) == [Touched("public", "customer", 500, 0, 0)]


async def test_notices_of_the_rehearsed_statement_are_told(runner: Runner, shop: Target) -> None:
    await runner.run(
        shop,
        ddl("""CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE NOTICE 'hello'; RETURN NEW; END $$"""),
        [],
        CAPS,
    )
    await runner.run(
        shop,
        ddl("CREATE TRIGGER t BEFORE UPDATE ON customer FOR EACH STATEMENT EXECUTE FUNCTION told()"),
        [],
        CAPS,
    )
    assert (await rehearse(runner, shop, "UPDATE customer SET name = 'z'")).notices == ("NOTICE: hello",)


async def test_parameters_that_cannot_be_sent_are_refused(runner: Runner, shop: Target) -> None:
    with pytest.raises(Invalid):
        await rehearse(runner, shop, "DELETE FROM customer WHERE id = $1")
    assert (await rehearse(runner, shop, "DELETE FROM customer")).affected == 3


@pytest.mark.parametrize("kind", ["Q", "P", "B", "E"])
async def test_a_lost_connection_leaves_nothing_in_doubt(shop: Target, kind: str) -> None:
    async with watched(shop.writer) as (line, port):
        pools = Pools(PoolLimits())
        far = replace(shop, writer=through(shop.writer, port))
        line.cut_at, line.cuts = kind, 1
        with pytest.raises(Unavailable) as unavailable:
            await rehearse(Runner(pools), far, "DELETE FROM customer")
        assert "Nothing was changed" in unavailable.value.hint
        assert (await rehearse(Runner(pools), far, "DELETE FROM customer")).affected == 3
        await pools.close()


async def test_a_rehearsal_whose_caller_leaves_is_undone_and_holds_no_locks(
    runner: Runner, shop: Target, admin_uri: ConnectionUri
) -> None:
    sql = "UPDATE customer SET name = (SELECT pg_sleep(60)::text) /* left */"
    leaving = asyncio.create_task(rehearse(runner, shop, sql))
    async with connected(admin_uri) as admin:

        async def holds_its_locks() -> bool:
            return await admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* left */' AND wait_event = 'PgSleep'"
            )

        await until(holds_its_locks)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    changed = await runner.run(shop, write("UPDATE customer SET name = name"), [], CAPS)
    assert changed.affected == 3
