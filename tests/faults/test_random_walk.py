"""A long, seeded story of several workspaces, disturbed at every turn, with a worker that races or without.

A seed that fails fails again; where two race, as far as they run alike.
"""

import logging
import random

import pytest

from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.fake_neon.faults import Fault
from support.worlds import (
    Ending,
    World,
    archive,
    create,
    delete,
    delete_later,
    pause,
    restore,
    resume,
    transfer,
    undelete,
)

ACTS = (create, create, pause, resume, archive, restore, transfer, delete, delete_later, undelete)


async def walk(world: World, seed: int, steps: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    chance = random.Random(seed)
    places = [WorkspaceId(f"walk-{number}") for number in range(3)]
    for step in range(steps):
        act, place, point = chance.choice(ACTS), chance.choice(places), chance.randrange(8)
        kind = chance.choice([*Fault, *Ending])
        if isinstance(kind, Ending):
            await world.end(act, place, point, kind)
        else:
            await world.disturb(act, place, point, kind, beside=chance.random() < 0.5)
        if chance.random() < 0.3:
            await world.neon.fake.do_postponed()
        if step % 4 == 3:
            await world.heal()
            await world.check(caplog.text)
            caplog.clear()


@pytest.mark.parametrize("seed", [1])
async def test_the_promise_holds_on_a_random_walk(
    world: World, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await walk(world, seed, 8, caplog)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2, 22))
async def test_the_promise_holds_on_many_random_walks(
    world: World, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await walk(world, seed, 24, caplog)
