"""Every message to the control plane is a numbered point as well: the wire breaks there, whatever was under way.

A statement may have been committed and its answer lost; the process goes on, or ends, without knowing.
"""

import contextlib
import itertools
import logging
import random

import pytest

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.store import Keys, Store
from support.servers import cut_after
from support.worlds import STORIES, World

DRAWN = 1
"""Points of each story in a common run."""


async def cut(world: World, keys: Keys, story: str, point: int, caplog: pytest.LogCaptureFixture) -> bool:
    """The story, cut at that message. False: it was over before."""
    *before, act = STORIES[story]
    place = await world.prepare(tuple(before))
    async with cut_after(point, world.control) as wire:
        theirs = await Store.open(wire, keys)
        reached = True
        with contextlib.suppress(AgentDbError):
            async with world.process(theirs) as process:
                await act(process, place)
                reached = any(row.attempts for row in await world.rows())
        await theirs.close()
    try:
        await world.heal()
        await world.check(caplog.text)
    except BaseException as error:
        error.add_note(f"story {story}, cut after {point} messages to the control plane")
        raise
    caplog.clear()
    await world.clear(place)
    return reached


@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_wherever_the_control_plane_is_lost(
    world: World, keys: Keys, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for point in random.Random(story).sample(range(30), DRAWN):
        await cut(world, keys, story, point, caplog)


@pytest.mark.fuzz
@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_at_every_message_to_the_control_plane(
    world: World, keys: Keys, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for point in itertools.count():
        if not await cut(world, keys, story, point, caplog):
            break
