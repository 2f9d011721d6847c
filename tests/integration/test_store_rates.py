"""Turns are given out by the control plane: to any number of processes, never more than the rate, and to all.

A turn's time is known to lie between two readings of the database's clock: nothing here depends on how long
anything takes.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from agentdb_mcp.core.rates import Rate
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.neon_rate import CONSUMPTION, REQUESTS, RateBudget
from agentdb_mcp.store import Keys, Store
from agentdb_mcp.store.rates import LONGEST_HOLD
from support.postgres import connected, own_database, run_sql
from support.worlds import RESTED

PATIENCE = 200.0
SLOW = Rate("slow", per_second=1 / 20, burst=3)
ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Turn:
    """When something may be sent: no earlier than the one, no later than the other, in seconds."""

    earliest: float
    latest: float
    waits: bool


async def turn_of(store: Store, rate: Rate, *, shift: float = 0.0) -> Turn:
    """`shift` is what has passed for the row and not for the database's clock."""
    before = await store.now()
    wait = await store.take_turn(rate, patience=PATIENCE)
    after = await store.now()
    assert wait is not None
    return Turn(before.timestamp() + shift + wait, after.timestamp() + shift + wait, wait > 0)


def assert_kept(rate: Rate, turns: Sequence[Turn]) -> None:
    """No span of time has more turns than a burst and what the rate allows for it."""
    for first in turns:
        for last in turns:
            span = last.latest - first.earliest
            within = [
                each for each in turns if first.earliest <= each.earliest and each.latest <= last.latest
            ]
            assert len(within) <= rate.burst + max(span, 0) * rate.per_second + ROUNDING


def assert_used(rate: Rate, turns: Sequence[Turn]) -> None:
    """Whoever waits does so for the turn before."""
    for turn in turns:
        before = [other.latest for other in turns if other is not turn and other.earliest <= turn.latest]
        assert not turn.waits or turn.earliest <= max(before) + rate.interval + ROUNDING


@pytest.fixture(scope="module")
def control_uri(admin_uri: ConnectionUri) -> Iterator[ConnectionUri]:
    """One for all: nothing is kept between tests but the schema."""
    with own_database(admin_uri) as uri:
        yield uri


@pytest.fixture(autouse=True)
async def rested(store: Store, control_uri: ConnectionUri) -> None:
    await run_sql(control_uri, RESTED)


@pytest.fixture
async def others(store: Store, control_uri: ConnectionUri, keys: Keys) -> AsyncIterator[list[Store]]:
    """What other processes would use: nothing is shared with them but the control plane."""
    async with AsyncExitStack() as stack:
        opened = [await Store.open(control_uri, keys) for _ in range(4)]
        for each in opened:
            stack.push_async_callback(each.close)
        yield opened


@pytest.mark.parametrize(("rate", "each"), [(REQUESTS, 15), (CONSUMPTION, 6), (SLOW, 3)])
async def test_processes_that_race_get_what_the_rate_allows_together_and_all_get_some(
    others: list[Store], rate: Rate, each: int
) -> None:
    async def process(store: Store) -> list[Turn]:
        return [await turn_of(store, rate) for _ in range(each)]

    found = await asyncio.gather(*map(process, others))
    turns = [turn for turns in found for turn in turns]
    assert_kept(rate, turns)
    assert_used(rate, turns)


async def test_however_long_nobody_asks_in_between_the_rate_is_kept(
    store: Store, control_uri: ConnectionUri
) -> None:
    chance, passed, turns = random.Random("rests"), 0.0, list[Turn]()
    async with connected(control_uri) as time:
        for _ in range(60):
            turns.append(await turn_of(store, SLOW, shift=passed))
            rest = chance.choice((0.0, 1.0, 5.0, 25.0, 90.0))
            await time.execute("UPDATE rate_budget SET next_at = next_at - make_interval(secs => $1)", rest)
            passed += rest
    assert_kept(SLOW, turns)
    assert_used(SLOW, turns)
    assert {turn.waits for turn in turns} == {True, False}


async def test_rates_are_counted_apart(store: Store) -> None:
    for _ in range(SLOW.burst):
        assert await store.take_turn(SLOW, patience=0) == 0
    assert await store.take_turn(SLOW, patience=0) is None
    assert await store.take_turn(CONSUMPTION, patience=0) == 0


async def test_a_hold_is_everybodys_and_a_shorter_one_does_not_end_it(others: list[Store]) -> None:
    begun = (await others[0].now()).timestamp()
    await others[0].hold_turns(REQUESTS, 100)
    await others[1].hold_turns(REQUESTS, 1)
    for store in others:
        assert await store.take_turn(REQUESTS, patience=30) is None
    turns = [await turn_of(store, REQUESTS) for store in others]
    assert all(begun + 100 <= turn.latest for turn in turns)
    assert_kept(REQUESTS, turns)
    assert all(turn.waits for turn in turns), "what was saved up before does not count after it"


async def test_those_who_would_not_wait_so_long_take_nothing(store: Store) -> None:
    await store.hold_turns(SLOW, 60)
    for _ in range(20):
        assert await store.take_turn(SLOW, patience=10) is None
    wait = await store.take_turn(SLOW, patience=PATIENCE)
    assert wait is not None
    assert wait <= 60


async def test_no_answer_of_neons_closes_it_for_long(store: Store) -> None:
    await store.hold_turns(REQUESTS, 1e12)
    wait = await store.take_turn(REQUESTS, patience=LONGEST_HOLD + 1)
    assert wait is not None
    assert wait <= LONGEST_HOLD


async def test_a_clock_that_was_set_back_stops_nobody(store: Store, control_uri: ConnectionUri) -> None:
    await store.take_turn(SLOW, patience=0)
    await run_sql(control_uri, "UPDATE rate_budget SET next_at = next_at + interval '1 day'")
    turns = [await turn_of(store, SLOW) for _ in range(4)]
    assert not turns[0].waits
    assert_used(SLOW, turns)


class Waits:
    """A sleep that ends when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()
        self.begun = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.begun.set()
        await self.over.wait()


ONE = Rate("one", per_second=1 / 10, burst=1)


async def test_a_long_line_in_one_process_takes_no_turns_from_another(others: list[Store]) -> None:
    here, there, late = Waits(), Waits(), list[int]()
    long, short = RateBudget(ONE, others[0], here.sleep), RateBudget(ONE, others[1], there.sleep)

    async def ask(number: int) -> None:
        assert await long.take(PATIENCE)
        late.append(number)

    line = [asyncio.ensure_future(ask(number)) for number in range(8)]
    await asyncio.wait_for(here.begun.wait(), 60)
    there.over.set()
    assert await short.take(PATIENCE)
    assert there.asked[0] <= 2 * ONE.interval
    here.over.set()
    await asyncio.gather(*line)
    assert late == list(range(8)), "first come, first served"


async def test_who_is_cancelled_while_waiting_makes_room_for_the_next(store: Store) -> None:
    waits = Waits()
    budget = RateBudget(ONE, store, waits.sleep)
    assert await budget.take(PATIENCE)
    given_up = asyncio.ensure_future(budget.take(PATIENCE))
    following = asyncio.ensure_future(budget.take(PATIENCE))
    await asyncio.wait_for(waits.begun.wait(), 60)
    given_up.cancel()
    waits.over.set()
    assert await following
    assert given_up.cancelled()
    assert waits.asked[1] <= 2 * ONE.interval
