"""A workspace gets its share of a server: no more, in order, and whatever becomes of its calls."""

import asyncio
from collections.abc import Callable

import pytest

from agentdb_mcp.core.errors import Denied
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.services.fairness import Share, Turns

ONE, OTHER = WorkspaceId("one"), WorkspaceId("other")


class Calls:
    """Calls that run until they are told to end, and the order in which they got their turns."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ends: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []

    def start(self, name: str, workspace_id: WorkspaceId = ONE) -> asyncio.Task[None]:
        self._ends[name] = asyncio.Event()
        return asyncio.create_task(self._call(name, workspace_id))

    async def _call(self, name: str, workspace_id: WorkspaceId) -> None:
        async with self._turns.turn(workspace_id):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settled()


async def settled() -> None:
    """Whatever can happen now has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def turns() -> Turns:
    return Turns(Share(running=2, waiting=3))


@pytest.fixture
def calls(turns: Turns) -> Calls:
    return Calls(turns)


async def test_as_many_as_may_run_at_once_and_the_others_in_the_order_they_came(calls: Calls) -> None:
    tasks = [calls.start(name) for name in "abcde"]
    await settled()
    assert calls.begun == ["a", "b"]
    for ended, begun in (("b", "abc"), ("a", "abcd"), ("d", "abcde")):
        await calls.end(ended)
        assert "".join(calls.begun) == begun
    await calls.end("c")
    await calls.end("e")
    await asyncio.gather(*tasks)


async def test_a_place_that_falls_free_goes_to_who_waits_and_not_to_who_comes(calls: Calls) -> None:
    tasks = [calls.start(name) for name in "abc"]
    await settled()
    calls._ends["a"].set()
    tasks.append(calls.start("late"))
    await settled()
    assert calls.begun == ["a", "b", "c"]
    for name in ("b", "c", "late"):
        await calls.end(name)
    await asyncio.gather(*tasks)
    assert calls.begun[-1] == "late"


async def test_the_first_call_that_finds_the_line_full_is_refused_in_words(calls: Calls) -> None:
    tasks = [calls.start(name) for name in "abcde"]
    await settled()
    with pytest.raises(Denied) as denied:
        await calls.start("f")
    assert denied.value.code == "rate_limited"
    assert "runs 2 calls at once, and 3 more wait" in denied.value.message
    assert denied.value.hint
    for name in "abcde":
        await calls.end(name)
    await asyncio.gather(*tasks)
    assert calls.begun == list("abcde")


async def test_a_workspace_does_not_stand_in_another_ones_line(calls: Calls) -> None:
    tasks = [calls.start(name) for name in "abcde"]
    tasks.append(calls.start("x", OTHER))
    await settled()
    assert calls.begun == ["a", "b", "x"]
    for name in "abcdex":
        await calls.end(name)
    await asyncio.gather(*tasks)


async def test_a_call_that_waits_too_long_is_refused_and_leaves_the_line() -> None:
    turns = Turns(Share(running=1, waiting=1, patience=0.01))
    calls = Calls(turns)
    holder = calls.start("holder")
    await settled()
    for _ in range(3):
        with pytest.raises(Denied) as denied:
            await calls.start("waiter")
        assert "no turn came within 0.01 s" in denied.value.message
    await calls.end("holder")
    await holder
    assert calls.begun == ["holder"]


def _waiting(tasks: list[asyncio.Task[None]]) -> asyncio.Task[None]:
    return tasks[2]


def _running(tasks: list[asyncio.Task[None]]) -> asyncio.Task[None]:
    return tasks[0]


@pytest.mark.parametrize(("choose", "begun"), [(_waiting, "abd"), (_running, "abcd")])
async def test_a_cancelled_call_leaves_its_place_to_the_next(
    calls: Calls, choose: Callable[[list[asyncio.Task[None]]], asyncio.Task[None]], begun: str
) -> None:
    tasks = [calls.start(name) for name in "abcd"]
    await settled()
    choose(tasks).cancel()
    await settled()
    for name in "abcd":
        await calls.end(name)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in ended].count(asyncio.CancelledError) == 1
    assert "".join(calls.begun) == begun


async def test_a_call_cancelled_in_the_moment_its_turn_comes_loses_no_place(calls: Calls) -> None:
    tasks = [calls.start(name) for name in "abcd"]
    await settled()
    calls._ends["a"].set()
    await asyncio.sleep(0)  # a has given its place to c, which does not know yet
    tasks[2].cancel()
    await settled()
    assert calls.begun == ["a", "b", "d"]
    for name in "bd":
        await calls.end(name)
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_call_that_fails_gives_its_place_back(turns: Turns) -> None:
    for _ in range(10):
        with pytest.raises(LookupError):
            async with turns.turn(ONE):
                raise LookupError


async def test_nothing_is_remembered_of_a_workspace_without_calls(turns: Turns) -> None:
    async with turns.turn(ONE), turns.turn(OTHER):
        assert set(turns._lines) == {ONE, OTHER}
    assert turns._lines == {}


async def test_a_call_in_a_hurry_does_not_stand_in_line_for_longer_than_it_has(
    turns: Turns, calls: Calls
) -> None:
    running = [calls.start(name) for name in "ab"]
    await settled()
    with pytest.raises(Denied, match=r"no turn came within 0\.01 s") as denied:
        async with turns.turn(ONE, 0.01):
            pass
    assert denied.value.code == "rate_limited"
    for name in "ab":
        await calls.end(name)
    await asyncio.gather(*running)
