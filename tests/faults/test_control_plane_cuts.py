"""Every message to the control plane is a numbered point as well: the wire breaks there, whatever was under way.

Either the message never arrives, or the server does as asked and its answer is lost: the process goes on, or
ends, without knowing.
"""

import contextlib
import itertools
import logging
import random

import pytest

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.store import Store
from support.servers import wire_to
from support.worlds import STORIES, World

SURE = 30
"""Every story sends more messages than that."""

FIRST = 3
"""Those before are the greeting: nothing is done yet, and every story greets alike."""


async def cut(
    world: World, story: str, point: int, caplog: pytest.LogCaptureFixture, *, answered: bool
) -> bool:
    """The story, cut after that message. False: it was over before."""
    *before, act = STORIES[story]
    place = await world.prepare(tuple(before))
    async with wire_to(world.control, messages=point, answered=answered) as wire:
        theirs = await Store.open(wire.uri, world.keys)
        with contextlib.suppress(AgentDbError):
            async with world.process(theirs) as process:
                await act(process, place)
        reached = wire.broken
        await theirs.close()
    try:
        await world.heal()
        await world.check(caplog.text)
    except BaseException as error:
        error.add_note(f"story {story}, {point} messages to the control plane, answered: {answered}")
        raise
    caplog.clear()
    await world.clear(place)
    return reached


@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_wherever_the_control_plane_is_lost(
    world: World, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chance = random.Random(story)
    point, answered = chance.randrange(FIRST, SURE), chance.choice((True, False))
    assert await cut(world, story, point, caplog, answered=answered)


@pytest.mark.fuzz
@pytest.mark.parametrize("answered", [True, False], ids=["message lost", "answer lost"])
@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_at_every_message_to_the_control_plane(
    world: World, story: str, caplog: pytest.LogCaptureFixture, *, answered: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    for point in itertools.count():
        if not await cut(world, story, point, caplog, answered=answered):
            break
    assert point > SURE
