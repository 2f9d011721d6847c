"""Every request to Neon is a numbered point. At each, everything that can go wrong does, or the process ends or is
overtaken; then workers come by, and the promise must hold.

A few points and faults, drawn by a seed, in every run; all of them with every other in `make fuzz`.
"""

import logging
import random
import re
from pathlib import Path

import pytest

from agentdb_mcp.fake_neon.faults import Fault
from support.worlds import STORIES, Ending, World

KINDS = [*Fault, *Ending]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/lifecycle.md").read_text()
DOCUMENTED = dict(re.findall(r"^\| ([a-z ]+) \| (\d+) \|$", PAGE, re.MULTILINE))
"""Story -> how many requests it makes."""
DRAWN = 1
"""Points of each story in a common run, each for a fault and for an end."""


async def points_of(world: World, story: str) -> int:
    """How many requests the last act of the story makes when nothing goes wrong."""
    *before, act = STORIES[story]
    place = await world.prepare(tuple(before))
    world.neon.sent()
    async with world.process() as process:
        await act(process, place)
    count = len(world.neon.sent())
    await world.clear(place)
    return count


async def go_through(
    world: World, story: str, point: int, kind: Fault | Ending, caplog: pytest.LogCaptureFixture
) -> None:
    *before, act = STORIES[story]
    place = await world.prepare(tuple(before))
    if isinstance(kind, Ending):
        await world.end(act, place, point, kind)
    else:
        await world.disturb(act, place, point, kind)
    try:
        await world.heal()
        await world.check(caplog.text)
    except BaseException as error:
        error.add_note(f"story {story}, point {point}, {kind}")
        raise
    caplog.clear()
    await world.clear(place)


@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_whatever_goes_wrong_at_neon(
    world: World, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    points = await points_of(world, story)
    assert points == int(DOCUMENTED[story]), "docs/explanation/lifecycle.md says otherwise"
    chance = random.Random(story)
    for kinds in (list(Fault), list(Ending)):
        for _ in range(DRAWN):
            await go_through(world, story, chance.randrange(points), chance.choice(kinds), caplog)


def test_the_pages_state_the_points_and_faults_there_are() -> None:
    assert set(DOCUMENTED) == set(STORIES)
    points = sum(map(int, DOCUMENTED.values()))
    said = (
        f"{points} requests to Neon; each with {len(KINDS)} kinds of failure is {points * len(KINDS)} cases"
    )
    assert said in (ROOT / "README.md").read_text()
    assert said.replace(" to Neon", "") in PAGE


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("story", STORIES)
async def test_the_promise_holds_at_every_point_of_every_story(
    world: World, story: str, kind: Fault | Ending, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for point in range(await points_of(world, story)):
        await go_through(world, story, point, kind, caplog)
