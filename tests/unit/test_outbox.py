"""Records wait in memory, within bounds, for as long as the control plane is away; what is dropped is counted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agentdb_mcp.core.errors import AgentDbError, Invalid, Unavailable
from agentdb_mcp.services import outbox as module
from agentdb_mcp.services.outbox import Bounds, Outbox
from support.waiting import until

AWAY = Unavailable("control_plane_unavailable", "away")


class Post:
    """Takes batches, or fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.again: list[bool] = []
        self.fails: AgentDbError | None = None
        self.tries = 0

    async def send(self, batch: Sequence[str], again: bool) -> None:
        self.tries += 1
        if self.fails is not None:
            raise self.fails
        self.batches.append(list(batch))
        self.again.append(again)

    @property
    def items(self) -> list[str]:
        return [item for batch in self.batches for item in batch]


def gap(tenant: str, count: int) -> str:
    return f"{tenant} lost {count}"


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


def fill(outbox: Outbox[str], count: int, tenant: str = "ada", size: int = 1) -> None:
    for each in range(count):
        outbox.put(f"{tenant} {each}", tenant, size)


async def soon(holds: Any) -> None:
    async def asked() -> Any:
        return holds()

    await until(asked)


async def test_what_comes_together_is_written_together_and_in_order(post: Post) -> None:
    outbox = Outbox(post.send, gap)
    async with outbox.writing():
        fill(outbox, 3)
        await soon(lambda: post.items)
        fill(outbox, 1, "ben")
        await soon(lambda: len(post.items) == 4)
    assert post.batches == [["ada 0", "ada 1", "ada 2"], ["ben 0"]]
    assert post.again == [False, False]


async def test_nothing_is_asked_of_the_control_plane_when_there_is_nothing_to_write(post: Post) -> None:
    async with Outbox(post.send, gap).writing():
        pass
    assert post.tries == 0


async def test_what_is_left_at_the_end_is_written(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 60)
    monkeypatch.setattr(module, "BATCH", 4)
    outbox = Outbox(post.send, gap)
    async with outbox.writing():
        fill(outbox, 10)
    assert post.items == [f"ada {each}" for each in range(10)]
    assert max(map(len, post.batches)) == 4


async def test_while_the_control_plane_is_away_records_wait_and_are_then_said_to_be_in_doubt(
    post: Post,
) -> None:
    outbox = Outbox(post.send, gap)
    post.fails = AWAY
    async with outbox.writing():
        fill(outbox, 2)
        await soon(lambda: post.tries >= 3)
        post.fails = None
        fill(outbox, 1, "ben")
        await soon(lambda: len(post.items) == 3)
        fill(outbox, 1, "eve")
    assert post.items == ["ada 0", "ada 1", "ben 0", "eve 0"]
    assert post.again[0]
    assert not post.again[-1]


async def test_what_is_too_much_is_dropped_and_a_gap_says_how_many_of_whom(post: Post) -> None:
    outbox = Outbox(post.send, gap, Bounds(items=4))
    post.fails = AWAY
    async with outbox.writing():
        fill(outbox, 6)
        fill(outbox, 1, "ben")
        await soon(lambda: post.tries)
        post.fails = None
    assert post.items == ["ada 0", "ada 1", "ada 2", "ada 3", "ada lost 2", "ben lost 1"]


async def test_long_statements_count_as_what_they_take(post: Post) -> None:
    outbox = Outbox(post.send, gap, Bounds(size=100))
    async with outbox.writing():
        fill(outbox, 3, size=40)
        await soon(lambda: post.items)
        fill(outbox, 1, "ben", size=100)
    assert post.items == ["ada 0", "ada 1", "ada lost 1", "ben 0"]


async def test_what_is_refused_is_not_tried_for_ever(post: Post) -> None:
    outbox = Outbox(post.send, gap)
    post.fails = Invalid("bad_argument", "no")
    async with outbox.writing():
        fill(outbox, 2)
        await soon(lambda: post.tries == 3)  # the records, then twice the gap
        post.fails = None
        await soon(lambda: post.items)
        fill(outbox, 1, "ben")
    assert post.items == ["ada lost 2", "ben 0"]


async def test_whoever_must_know_waits_until_it_is_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 60)
    outbox = Outbox(post.send, gap)
    async with outbox.writing():
        fill(outbox, 1)
        await outbox.put_now("now", "ada", 1)
        assert post.items == ["ada 0", "now"]


async def test_whoever_must_know_hears_that_it_could_not_be_written_and_it_is_forgotten(post: Post) -> None:
    outbox = Outbox(post.send, gap)
    post.fails = AWAY
    async with outbox.writing():
        fill(outbox, 1)
        with pytest.raises(Unavailable):
            await outbox.put_now("now", "ada", 1)
        post.fails = None
    assert post.items == ["ada 0"]


async def test_whoever_must_know_is_refused_when_too_much_waits(post: Post) -> None:
    outbox = Outbox(post.send, gap, Bounds(items=1))
    fill(outbox, 1)
    with pytest.raises(Unavailable):
        await outbox.put_now("now", "ada", 1)


async def test_a_cancelled_waiter_leaves_its_record_to_be_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def send(batch: Sequence[str], again: bool) -> None:
        await gate.wait()
        await post.send(batch, again)

    outbox = Outbox(send, gap)
    async with outbox.writing():
        waiter = asyncio.create_task(outbox.put_now("now", "ada", 1))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        gate.set()
    assert post.items == ["now"]


async def test_what_cannot_be_written_at_the_end_is_said_to_be_lost(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(post.send, gap)
    post.fails = AWAY
    async with outbox.writing():
        fill(outbox, 3)
    assert "3 records of the audit trail are lost: control_plane_unavailable" in caplog.text


async def test_a_fault_of_ours_does_not_end_the_writing(post: Post) -> None:
    outbox = Outbox(post.send, gap)
    post.fails = KeyError("bug")  # pyright: ignore[reportAttributeAccessIssue]
    async with outbox.writing():
        fill(outbox, 1)
        await soon(lambda: post.tries)
        post.fails = None
        fill(outbox, 1, "ben")
    assert set(post.items) == {"ada lost 1", "ben 0"}
