"""Every message to a project's own PostgreSQL, where its roles are made, is a numbered point: the session breaks."""

import contextlib
import itertools
import logging
import math
import random

import pytest

from agentdb_mcp.core.errors import AgentDbError
from support.worlds import STORIES, World

SURE = 12
"""Making the roles takes more messages than that."""

MAKING = ("create", "undelete", "mend")
"""Stories in which roles are made."""


async def cut(world: World, story: str, point: int, caplog: pytest.LogCaptureFixture) -> bool:
    """The story, its session cut after so many messages. False: there were no more."""
    *before, act = STORIES[story]
    place = await world.prepare(tuple(before))
    faults = world.neon.fake.faults
    faults.messages = point
    async with world.process() as process:
        with contextlib.suppress(AgentDbError):
            await act(process, place)
    reached, faults.messages = faults.messages == math.inf, math.inf
    try:
        await world.heal()
        await world.check(caplog.text)
    except BaseException as error:
        error.add_note(f"story {story}, cut after {point} messages to the project")
        raise
    caplog.clear()
    await world.clear(place)
    return reached


async def test_the_promise_holds_wherever_a_session_with_a_project_breaks(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chance = random.Random("sessions")
    assert await cut(world, chance.choice(MAKING), chance.randrange(SURE), caplog)


@pytest.mark.fuzz
@pytest.mark.parametrize("story", MAKING)
async def test_the_promise_holds_at_every_message_to_a_project(
    world: World, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for point in itertools.count():
        if not await cut(world, story, point, caplog):
            break
    assert point > SURE
