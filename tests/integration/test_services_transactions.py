"""Handles of open transactions: their owner's alone, for a while, and never past what the control plane says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Credentials, Kind, Provisioned
from agentdb_mcp.core.errors import Denied, Invalid, Missing, SqlFailed, Unavailable
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.services.access import AccessService, Premises
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.services.fairness import Share, Turns
from agentdb_mcp.services.transactions import Life, Transactions
from agentdb_mcp.store import Store
from support.lives import ADA, BEN, RESEARCH, make
from support.statements import approved, ddl, write
from support.waiting import until

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
LAB = WorkspaceId("lab")


@dataclass
class Bench:
    """Two workspaces of two users, whose databases are one and the same so that each can see the other's."""

    store: Store
    runner: Runner
    access: AccessService
    transactions: Transactions
    research: Principal
    lab: Principal
    target: Target
    now: datetime = NOON
    moved: tuple[str, int] | None = None
    """Where the databases' server is by now, if it is not where it was."""

    async def write(self, handle: str, sql: str, who: Principal | None = None) -> Any:
        async with self.transactions.use(who or self.research, Kind.AGENT, handle) as within:
            return await self.runner.run(self.target, write(sql), [], Caps(), within)

    async def begin(self, who: Principal | None = None) -> str:
        return (await self.transactions.begin(who or self.research, Kind.AGENT)).handle

    async def committed(self) -> list[Any]:
        rows = (
            await self.runner.run(self.target, approved("SELECT id FROM note ORDER BY id"), [], Caps())
        ).rows
        return [row[0] for row in rows]

    async def locked(self) -> bool:
        """Whether somebody has the table."""
        body = "DO $$ BEGIN LOCK TABLE note IN ACCESS EXCLUSIVE MODE NOWAIT; END $$"
        try:
            await self.runner.run(self.target, write(body), [], Caps())
        except SqlFailed as error:
            return error.sqlstate == "55P03" and "an open transaction holds it" in error.hint
        return False

    async def is_free(self) -> bool:
        return not await self.locked()


@pytest.fixture
async def bench(store: Store, target: Target, pools: Pools) -> AsyncIterator[Bench]:
    async with opened(store, target, pools, Life()) as made:
        yield made


@asynccontextmanager
async def opened(store: Store, target: Target, pools: Pools, life: Life) -> AsyncGenerator[Bench]:
    owners = list[Principal]()
    for user, workspace in ((ADA, RESEARCH), (BEN, LAB)):
        await store.register_user(user, plan=None, provider="local")
        database = await store.create_workspace(workspace, user, name="", provider="local")
        credentials = Credentials(None, target.writer, target.reader)
        await make(store, database.id, Provisioned("p", None, "d", credentials))
        owners.append(Principal(user, workspace))
    bench: Bench
    async with store.changes() as changes:
        at = dsn.arguments(target.writer.reveal())
        premises = Premises({"local": lambda: bench.moved or (at["host"], at["port"])})
        access = AccessService(store, changes, premises, clock=lambda: NOON)
        runner = Runner(pools)
        for statement in ("DROP TABLE IF EXISTS note", "CREATE TABLE note (id int PRIMARY KEY)"):
            await runner.run(target, ddl(statement), [], Caps())
        turns = Turns(Share(running=2))
        transactions = Transactions(
            access,
            runner,
            turns,
            lambda: bench.now,
            trail=Trail(store, lambda: bench.now, mode="off"),
            life=life,
        )
        bench = Bench(store, runner, access, transactions, owners[0], owners[1], target)
        yield bench
        await transactions.close()


async def expired(call: Any) -> None:
    with pytest.raises(Missing) as missing:
        await call
    assert missing.value.code == "transaction_expired"
    assert "begin a new one" in missing.value.hint


async def test_a_handle_is_good_from_begin_to_commit(bench: Bench) -> None:
    begun = await bench.transactions.begin(bench.research, Kind.AGENT)
    assert (begun.seconds, begun.idle_seconds) == (300, 60)
    await bench.write(begun.handle, "INSERT INTO note VALUES (1)")
    assert await bench.committed() == []
    await bench.transactions.commit(bench.research, Kind.AGENT, begun.handle)
    assert await bench.committed() == [1]
    await expired(bench.transactions.commit(bench.lab, Kind.AGENT, begun.handle))


async def test_what_was_committed_is_never_said_to_be_lost(bench: Bench) -> None:
    """A commit whose answer did not arrive is sent again: it must not lead to the work being done twice."""
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    await bench.transactions.commit(bench.research, Kind.AGENT, handle)
    await bench.transactions.commit(bench.research, Kind.AGENT, handle)
    for late in (
        bench.write(handle, "INSERT INTO note VALUES (2)"),
        bench.transactions.roll_back(bench.research, Kind.AGENT, handle),
    ):
        with pytest.raises(Missing, match="was committed") as told:
            await late
        assert told.value.code == "transaction_expired"
        assert "Do not run its statements again" in told.value.hint
    assert await bench.committed() == [1]


async def test_a_rollback_keeps_nothing_and_frees_what_was_locked(bench: Bench) -> None:
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    assert await bench.locked()
    await bench.transactions.roll_back(bench.research, Kind.AGENT, handle)
    assert not await bench.locked()
    assert await bench.committed() == []
    await expired(bench.transactions.roll_back(bench.research, Kind.AGENT, handle))


async def test_somebody_elses_handle_is_none_at_all(bench: Bench) -> None:
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    await expired(bench.write(handle, "INSERT INTO note VALUES (2)", bench.lab))
    await expired(bench.transactions.commit(bench.lab, Kind.AGENT, handle))
    await expired(bench.transactions.roll_back(bench.lab, Kind.AGENT, handle))
    await expired(bench.write("forged", "INSERT INTO note VALUES (2)"))
    await bench.transactions.commit(bench.research, Kind.AGENT, handle)
    assert await bench.committed() == [1]


async def test_a_handle_is_for_its_own_database(bench: Bench) -> None:
    handle = await bench.begin()
    with pytest.raises(Invalid, match="open on the agent database"):
        await bench.transactions.commit(bench.research, Kind.GLOBAL, handle)
    assert (await bench.write(handle, "INSERT INTO note VALUES (1)")).affected == 1


async def test_two_at_once_and_a_third_is_told_how_to_get_a_place(bench: Bench) -> None:
    first, _ = await bench.begin(), await bench.begin()
    with pytest.raises(Denied, match="as may be: 2") as denied:
        await bench.begin()
    assert denied.value.code == "rate_limited"
    assert "after 60 s" in denied.value.hint
    # Ordinary calls go on, and the other workspace has places of its own.
    assert await bench.committed() == []
    other = await bench.begin(bench.lab)
    assert other not in {first, _}
    await bench.transactions.roll_back(bench.research, Kind.AGENT, first)
    assert await bench.begin()


async def test_a_place_is_free_again_when_a_transaction_could_not_begin(bench: Bench) -> None:
    for _ in range(3):
        begin = asyncio.create_task(bench.begin())
        await asyncio.sleep(0)
        begin.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begin
    assert await bench.begin()
    assert await bench.begin()


@pytest.mark.parametrize(
    "steps",
    [
        [timedelta(seconds=61)],
        [timedelta(seconds=59)] * 6,
    ],
    ids=["idle", "old"],
)
async def test_it_does_not_outlive_its_time(bench: Bench, steps: list[timedelta]) -> None:
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    *before, last = steps
    for step in before:
        bench.now += step
        try:
            await bench.write(handle, "SELECT 1")
        except Missing:
            assert bench.now > NOON + timedelta(minutes=4, seconds=50)
    bench.now += last
    await expired(bench.write(handle, "SELECT 1"))
    await until(bench.is_free)
    assert await bench.committed() == []


async def test_an_idle_one_is_rolled_back_without_anybody_asking(
    store: Store, target: Target, pools: Pools
) -> None:
    life = Life(total=timedelta(minutes=5), idle=timedelta(seconds=0.2))
    async with opened(store, target, pools, life) as bench:
        handle = await bench.begin()
        async with bench.transactions.use(bench.research, Kind.AGENT, handle) as within:
            # In use it does not count as idle, however long that takes.
            await bench.runner.run(target, write("SELECT pg_sleep(0.5)"), [], Caps(), within)
            await bench.runner.run(target, write("INSERT INTO note VALUES (1)"), [], Caps(), within)
        assert await bench.locked()
        await until(bench.is_free)
        await expired(bench.write(handle, "SELECT 1"))
        assert await bench.committed() == []


async def test_its_life_ends_a_statement_too(store: Store, target: Target, pools: Pools) -> None:
    life = Life(total=timedelta(seconds=0.3), idle=timedelta(minutes=1))
    async with opened(store, target, pools, life) as bench:
        handle = await bench.begin()
        with pytest.raises(Unavailable, match=r"time limit of 0\.3 s"):
            await bench.write(handle, "SELECT pg_sleep(60)")
        bench.now += timedelta(seconds=1)
        await expired(bench.write(handle, "SELECT 1"))


async def test_a_database_that_is_paused_closes_it(bench: Bench) -> None:
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    own = await bench.store.find_database(Kind.AGENT, ADA, RESEARCH)
    assert own is not None
    await bench.store.pause(own.id)

    async def is_refused() -> bool:
        try:
            await bench.access.resolve(bench.research, Kind.AGENT)
        except Denied:
            return True
        return False

    await until(is_refused)
    with pytest.raises(Denied) as denied:
        await bench.write(handle, "INSERT INTO note VALUES (2)")
    assert denied.value.code == "database_paused"
    assert "The transaction was rolled back." in denied.value.hint
    await bench.store.resume(own.id)
    await until(bench.is_free)
    await expired(bench.transactions.commit(bench.research, Kind.AGENT, handle))
    assert await bench.committed() == []


async def test_a_database_that_moved_or_changed_hands_closes_it(bench: Bench) -> None:
    handle = await bench.begin()
    await bench.write(handle, "INSERT INTO note VALUES (1)")
    bench.moved = ("127.0.0.1", 1)
    other = await bench.store.find_database(Kind.AGENT, BEN, LAB)
    assert other is not None
    await bench.store.pause(other.id)

    async def is_elsewhere() -> bool:
        return (await bench.access.resolve(bench.research, Kind.AGENT)).address == bench.moved

    await until(is_elsewhere)
    await expired(bench.write(handle, "INSERT INTO note VALUES (2)"))
    await until(bench.is_free)
    assert await bench.committed() == []


async def test_a_second_call_meanwhile_is_refused_and_does_nothing(bench: Bench) -> None:
    handle = await bench.begin()
    async with bench.transactions.use(bench.research, Kind.AGENT, handle):
        for second in (
            bench.write(handle, "INSERT INTO note VALUES (1)"),
            bench.transactions.commit(bench.research, Kind.AGENT, handle),
            bench.transactions.roll_back(bench.research, Kind.AGENT, handle),
        ):
            with pytest.raises(Denied, match="runs another statement"):
                await second
    await bench.transactions.commit(bench.research, Kind.AGENT, handle)
    assert await bench.committed() == []


async def test_closing_rolls_back_what_is_open(bench: Bench) -> None:
    handles = [await bench.begin(), await bench.begin(bench.lab)]
    await bench.write(handles[0], "INSERT INTO note VALUES (1)")
    await bench.transactions.close()
    assert not await bench.locked()
    for handle in handles:
        await expired(bench.write(handle, "SELECT 1"))
