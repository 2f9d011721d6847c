"""A change with a key is made once, whatever is sent again, by whom, and whatever dies in between."""

import asyncio
import uuid
from dataclasses import fields, replace

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.changes import Key, Outcome, Statement
from agentdb_mcp.core.errors import Denied, Invalid, SqlFailed, Unavailable
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.results import Caps, Column, CutCell, CutText, ResultSet
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.records import read_record, record_of
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected, run_sql
from support.statements import approved, ddl, write
from support.waiting import until
from support.wire import through, watched

CAPS = Caps()
ADD = "INSERT INTO entry (what) VALUES ('paid') RETURNING id, what"


@pytest.fixture
async def runner(pools: Pools, target: Target) -> Runner:
    runner = Runner(pools)
    await runner.run(target, ddl("DROP TABLE IF EXISTS entry"), [], CAPS)
    await runner.run(target, ddl("DROP SCHEMA IF EXISTS agentdb CASCADE"), [], CAPS)
    made = "CREATE TABLE entry (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text NOT NULL)"
    await runner.run(target, ddl(made), [], CAPS)
    return runner


def key_of(text: str, *sql: str, workspace: str = "w") -> Key:
    return Key.of(WorkspaceId(workspace), text, "execute", [Statement(each) for each in sql])


async def make(
    runner: Runner, target: Target, text: str, *sql: str, workspace: str = "w", caps: Caps = CAPS
) -> Outcome:
    steps = [Step(write(each), []) for each in sql]
    return await runner.change_once(target, steps, caps, key_of(text, *sql, workspace=workspace))


async def entries(runner: Runner, target: Target) -> int:
    (((count,),)) = (await runner.run(target, approved("SELECT count(*) FROM entry"), [], CAPS)).rows
    assert isinstance(count, int)
    return count


async def test_a_call_sent_again_returns_what_the_first_one_did_and_does_nothing(
    runner: Runner, target: Target
) -> None:
    first = await make(runner, target, "k", ADD, "UPDATE entry SET what = what")
    again = await make(runner, target, "k", ADD, "UPDATE entry SET what = what")
    assert not first.replayed
    assert again == replace(first, replayed=True)
    assert again.results[0].rows == ((1, "paid"),)
    assert await entries(runner, target) == 1
    elsewhere = Pools(PoolLimits())
    assert await make(Runner(elsewhere), target, "k", ADD, "UPDATE entry SET what = what") == again
    await elsewhere.close()


async def test_a_key_is_one_workspaces(runner: Runner, target: Target) -> None:
    await make(runner, target, "k", ADD)
    other = await make(runner, target, "k", ADD, workspace="other")
    assert not other.replayed
    assert await entries(runner, target) == 2


async def test_statistics_show_nobody_the_keys_and_rows_of_others(runner: Runner, target: Target) -> None:
    for number in range(30):
        await make(runner, target, f"k{number}", "UPDATE entry SET what = what")
    await runner.run(target, ddl("ANALYZE agentdb.call"), [], CAPS)
    shown = "SELECT attname FROM pg_stats WHERE schemaname = 'agentdb' ORDER BY attname"
    found = await runner.run(target, approved(shown), [], CAPS)
    assert found.rows == (("digest",), ("made_at",), ("workspace_id",))


async def test_the_same_key_with_another_call_is_refused(runner: Runner, target: Target) -> None:
    await make(runner, target, "k", ADD)
    with pytest.raises(Invalid) as refused:
        await make(runner, target, "k", ADD, ADD)
    assert refused.value.code == "idempotency_conflict"
    assert await entries(runner, target) == 1


@pytest.mark.parametrize(
    "other",
    [
        ("execute_ddl", [Statement("a", [1])]),
        ("execute", [Statement("b", [1])]),
        ("execute", [Statement("a", ["1"])]),
        ("execute", [Statement("a", [True])]),
        ("execute", [Statement("a", [1]), Statement("a", [1])]),
        ("execute", [Statement("a", [1.0])]),
    ],
)
def test_a_call_is_its_tool_its_statements_and_their_parameters(other: tuple[str, list[Statement]]) -> None:
    one = Key.of(WorkspaceId("w"), "k", "execute", [Statement("a", [1])])
    assert Key.of(WorkspaceId("w"), "k", "execute", [Statement("a", (1,))]) == one
    assert Key.of(WorkspaceId("w"), "k", *other).digest != one.digest


@pytest.mark.parametrize("text", ["", "x" * 201, "a\nb", "a\0", "\ud800", "\x1b[31m"])
def test_a_key_is_short_and_printable(text: str) -> None:
    with pytest.raises(Invalid, match="printable"):
        key_of(text, "a")


async def test_a_failed_call_leaves_its_key_free(runner: Runner, target: Target) -> None:
    for _ in range(2):
        with pytest.raises(SqlFailed):
            await make(runner, target, "k", ADD, "INSERT INTO entry (what) VALUES (NULL)")
    assert await entries(runner, target) == 0
    assert not (await make(runner, target, "k", ADD)).replayed


async def test_a_commit_that_fails_leaves_its_key_free(runner: Runner, target: Target) -> None:
    late = "ALTER TABLE entry ADD COLUMN of int REFERENCES entry DEFERRABLE INITIALLY DEFERRED"
    await runner.run(target, ddl(late), [], CAPS)
    with pytest.raises(SqlFailed) as failed:
        await make(runner, target, "k", "INSERT INTO entry (what, of) VALUES ('x', 99)")
    assert "deferred" in failed.value.as_dict()["when"]
    assert not (await make(runner, target, "k", ADD)).replayed


async def test_a_dry_run_uses_no_key_up(runner: Runner, target: Target) -> None:
    await runner.rehearse(target, [Step(write(ADD), [])], CAPS)
    assert not (await make(runner, target, "k", ADD)).replayed


async def test_of_many_at_once_one_makes_the_change_and_all_hear_of_it(
    runner: Runner, target: Target
) -> None:
    """Also the first time of all, when each of them finds no place for keys."""
    servers = [Pools(PoolLimits(size=2)) for _ in range(3)]
    calls = [make(Runner(pools), target, "k", ADD) for pools in servers for _ in range(2)]
    outcomes = await asyncio.gather(*calls)
    assert sorted(each.replayed for each in outcomes) == [False] + [True] * 5
    assert {each.results[0].rows for each in outcomes} == {((1, "paid"),)}
    assert await entries(runner, target) == 1
    await asyncio.gather(*(pools.close() for pools in servers))


async def test_whoever_comes_while_the_first_still_runs_is_told_to_come_again(
    runner: Runner, target: Target, admin_uri: ConnectionUri
) -> None:
    slow = "INSERT INTO entry (what) SELECT pg_sleep(60)::text /* slow */"
    await make(runner, target, "other", ADD)
    first = asyncio.create_task(make(runner, target, "k", slow))
    async with connected(admin_uri) as admin:
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* slow */' AND wait_event = 'PgSleep'"
        )
        await until(lambda: admin.fetchval(sleeping))
    for caps in (CAPS, Caps(seconds=0.3)):
        with pytest.raises(Unavailable) as told:
            await make(runner, target, "k", slow, caps=caps)
        assert told.value.code == "call_in_progress"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not (await make(runner, target, "k", ADD)).replayed


@pytest.mark.parametrize("kind", ["Q", "P", "B", "E", "S"])
@pytest.mark.parametrize("spared", range(9))
async def test_a_line_cut_at_any_message_leaves_the_change_made_once_or_not_at_all(
    runner: Runner, target: Target, kind: str, spared: int
) -> None:
    """The server never says that it does not know: it asks again by itself, or whoever asks again hears."""
    async with watched(target.writer) as (line, port):
        pools = Pools(PoolLimits())
        far = replace(target, writer=through(target.writer, port))
        line.cut_at, line.cuts, line.spared = kind, 1, spared
        text = uuid.uuid4().hex
        (told,) = await asyncio.gather(make(Runner(pools), far, text, ADD), return_exceptions=True)
        if not isinstance(told, Outcome):
            assert isinstance(told, Unavailable)
            assert "not known" not in told.message
            assert await entries(runner, target) == 0
            told = await make(Runner(pools), far, text, ADD)
        assert told.results[0].rows[0][1] == "paid"
        assert await entries(runner, target) == 1
        assert (await make(runner, target, text, ADD)).results == told.results
        await pools.close()


async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_made_again(
    runner: Runner, target: Target
) -> None:
    await make(runner, target, "other", ADD)
    async with watched(target.writer) as (line, port):
        pools = Pools(PoolLimits())
        far = replace(target, writer=through(target.writer, port))
        line.deaf_after = "COMMIT"
        told = await make(Runner(pools), far, "k", ADD)
        assert told.replayed
        assert (told.results[0].rows, line.connections) == (((2, "paid"),), 2)
        await pools.close()
    assert await entries(runner, target) == 2


async def test_a_deadline_in_mid_commit_is_a_doubt_that_the_same_call_ends(
    runner: Runner, target: Target, admin_uri: ConnectionUri
) -> None:
    """The deferred key is checked by the commit, which waits for the row it points to."""
    await runner.run(
        target,
        ddl("ALTER TABLE entry ADD COLUMN of int REFERENCES entry DEFERRABLE INITIALLY DEFERRED"),
        [],
        CAPS,
    )
    await make(runner, target, "first", ADD)
    pointing = "INSERT INTO entry (what, of) VALUES ('late', 1) RETURNING what"
    async with connected(target.writer) as holder:
        await holder.execute("BEGIN; SELECT FROM entry WHERE id = 1 FOR UPDATE")
        with pytest.raises(Unavailable, match="not known") as late:
            await make(runner, target, "k", pointing, caps=Caps(seconds=1))
    assert "Send the same call again" in late.value.hint
    told = await make(runner, target, "k", pointing)
    assert told.results[0].rows == (("late",),)
    assert await entries(runner, target) == 2


async def test_an_old_key_is_forgotten_and_the_old_ones_are_cleared_away(
    runner: Runner, target: Target
) -> None:
    for number in range(30):
        await make(runner, target, f"k{number}", ADD)
    await run_sql(target.writer, "UPDATE agentdb.call SET made_at = now() - interval '25 hours'")
    assert not (await make(runner, target, "k7", ADD)).replayed
    assert (await make(runner, target, "k7", ADD)).replayed
    await make(runner, target, "new", ADD)
    async with connected(target.writer) as writer:
        assert await writer.fetchval("SELECT count(*) FROM agentdb.call") == 2


async def test_a_role_that_may_make_no_schema_is_told_so(
    runner: Runner, target: Target, admin_uri: ConnectionUri
) -> None:
    async with connected(target.writer) as writer:
        place, role = await writer.fetchrow("SELECT current_database(), current_user")
    await run_sql(admin_uri, f'REVOKE CREATE ON DATABASE "{place}" FROM "{role}"')
    try:
        with pytest.raises(Denied) as denied:
            await make(runner, target, "k", ADD)
    finally:
        await run_sql(admin_uri, f'GRANT CREATE ON DATABASE "{place}" TO "{role}"')
    assert denied.value.code == "forbidden"
    assert await entries(runner, target) == 0


def test_an_outcome_comes_back_from_its_record_as_it_was() -> None:
    columns = (Column("a", "text"), Column("b", "integer[]"))
    cells = (("'\"\\é\u2028😀", [1, None, [2]]), (None, 1.5), (True, -(2**53) + 1))
    cut = ((CutText("…", 9), [3]),)
    full = ResultSet(
        columns,
        (*cells, *cut),
        "INSERT 0 3",
        affected=3,
        truncated="rows",
        offset=4,
        total=5,
        estimate=6,
        cut=(CutCell(3, 0, 1, 9),),
        longest=1,
        notices=("NOTICE: n",),
        size=7,
    )
    outcome = Outcome((full, ResultSet((), (), "CREATE TABLE")))
    again = read_record(record_of(outcome))
    assert again == replace(outcome, replayed=True)
    assert type(again.results[0].rows[3][0]) is CutText


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", '[{"rows": 1}]', '[{"rows": [], "notices": [], "columns": []}]']
)
def test_a_record_that_somebody_spoilt_is_said_to_be_unreadable(text: str) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        read_record(text)


def test_every_field_of_a_result_is_known_to_its_record() -> None:
    """One that is new here needs its way back in execution/records.py."""
    assert {field.name for field in fields(ResultSet)} == {
        "columns",
        "rows",
        "command",
        "affected",
        "truncated",
        "offset",
        "total",
        "estimate",
        "cut",
        "longest",
        "size",
        "notices",
        "next_cursor",
    }
