"""The rate budget, in a time of its own."""

from agentdb_mcp.fake_neon.clock import ManualClock
from agentdb_mcp.providers.neon_rate import RateBudget


def budget(clock: ManualClock) -> RateBudget:
    return RateBudget(per_second=10, burst=30, monotonic=clock.monotonic, sleep=clock.sleep)


async def test_a_minute_of_hurry_stays_under_neons_limit() -> None:
    clock = ManualClock()
    bucket, end, sent = budget(clock), clock.monotonic() + 60, 0
    while clock.monotonic() <= end:
        await bucket.take()
        sent += 1
    assert 600 <= sent <= 640


async def test_a_burst_is_free_and_what_follows_waits() -> None:
    clock = ManualClock()
    bucket, begin = budget(clock), clock.monotonic()
    for _ in range(30):
        await bucket.take()
    assert clock.monotonic() == begin
    await bucket.take()
    assert 0.09 < clock.monotonic() - begin < 0.11


async def test_a_hold_stops_everybody() -> None:
    clock = ManualClock()
    bucket, begin = budget(clock), clock.monotonic()
    bucket.hold(5)
    bucket.hold(2)
    await bucket.take()
    assert 5 <= clock.monotonic() - begin < 5.1


async def test_unused_allowance_does_not_grow_beyond_a_burst() -> None:
    clock = ManualClock()
    bucket = budget(clock)
    clock.advance(hours=1)
    begin = clock.monotonic()
    for _ in range(40):
        await bucket.take()
    assert 0.9 < clock.monotonic() - begin < 1.1
