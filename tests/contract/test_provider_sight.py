"""What every provider sees of its databases, one by one and all together, and what it can bring back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agentdb_mcp.core.databases import DatabaseSpec, Observed
from agentdb_mcp.core.errors import Missing
from agentdb_mcp.providers.base import Owned
from contract.test_provider_lifecycle import keep_something, kept, usable
from support.houses import House


async def test_every_state_of_a_life_is_seen(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    assert await provider.observe(spec, None) is Observed.DELETED
    made = await provider.create(spec)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    assert await provider.observe(spec, None) is not Observed.DELETED
    await provider.pause(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.PAUSED
    await provider.resume(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    await provider.delete(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.DELETED
    assert await provider.observe(spec, None) is Observed.DELETED


async def test_what_is_neither_open_nor_paused_is_unknown_until_it_is_one_of_them(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    for act, then in ((provider.resume, Observed.ACTIVE), (provider.pause, Observed.PAUSED)):
        await house.half_pause(spec, made.project_id)
        assert await provider.observe(spec, made.project_id) is Observed.UNKNOWN
        await act(spec, made.project_id)
        assert await provider.observe(spec, made.project_id) is then


async def test_of_a_record_whose_database_is_nowhere_no_more_is_said_than_is_known(house: House) -> None:
    spec = house.new_spec()
    assert await house.provider.observe(spec, house.handle_of(spec)) is house.unseen


async def test_looking_wakes_nothing(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await house.settle()
    await provider.observe(spec, made.project_id)
    await provider.census()
    assert not await house.awake(spec)


async def owned(house: House, spec: DatabaseSpec) -> list[Owned]:
    census = await house.provider.census()
    assert census.complete
    return [each for each in census.owned if each.database_id == spec.id]


async def test_the_census_shows_what_is_there_in_whatever_state_and_nothing_of_others(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    others = house.new_spec()
    theirs = await house.add_others(others)
    made = await provider.create(spec)
    for step in (None, provider.pause, provider.resume):
        if step is not None:
            await step(spec, made.project_id)
        (ours,) = await owned(house, spec)
        assert (ours.project_id, ours.marked) == (made.project_id, False)
    assert theirs not in {each.project_id for each in (await provider.census()).owned}
    assert await owned(house, others) == []
    await provider.delete(spec, made.project_id)
    assert await owned(house, spec) == []


async def test_what_is_discarded_is_gone_and_nothing_else_is(house: House) -> None:
    provider, spec, other = house.provider, house.new_spec(), house.new_spec()
    made, neighbour = await provider.create(spec), await provider.create(other)
    (orphan,) = await owned(house, spec)
    for _ in range(2):
        await provider.discard(orphan)
    assert (await house.instances(spec), await owned(house, spec)) == (0, [])
    assert await provider.observe(spec, made.project_id) is Observed.DELETED
    assert len(await owned(house, other)) == 1
    assert await usable(neighbour)


async def test_a_deleted_database_is_brought_back_where_the_provider_keeps_it(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await keep_something(made)
    await provider.delete(spec, made.project_id)
    reclaimed = await provider.reclaim(spec, made.project_id)
    assert reclaimed is (provider.recoverable_for > timedelta(0))
    again = await provider.create(replace(spec, project_id=made.project_id) if reclaimed else spec)
    assert await kept(again) == (42 if reclaimed else None)
    assert await house.instances(spec) == 1


async def test_reclaiming_what_is_there_leaves_it_as_it_is(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await keep_something(made)
    assert await provider.reclaim(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.ACTIVE
    await provider.pause(spec, made.project_id)
    assert await provider.reclaim(spec, made.project_id)
    assert await provider.observe(spec, made.project_id) is Observed.PAUSED
    await provider.resume(spec, made.project_id)
    assert await kept(made) == 42


async def test_what_never_was_is_not_brought_back(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    if house.unseen is Observed.DELETED:
        assert not await provider.reclaim(spec, house.handle_of(spec))
    else:
        with pytest.raises(Missing):
            await provider.reclaim(spec, house.handle_of(spec))
    assert await house.instances(spec) == 0
