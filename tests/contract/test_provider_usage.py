"""What every provider tells of use: exact, with its time, and never a 0 for what it does not know."""

import json
from datetime import UTC, timedelta
from urllib.parse import urlsplit

import pytest

from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.usage import Usage
from support.houses import House
from support.postgres import run_sql
from support.servers import lets_in

ROWS = 50_000
FILL = f"CREATE TABLE filling AS SELECT md5(i::text) AS text FROM generate_series(1, {ROWS}) AS i"
FILLED = ROWS * 32
EMPTY = 3_000_000
"""An empty database of any version takes more."""


async def test_of_a_fresh_database_it_is_told_what_it_stores_and_nothing_is_made_up(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    usage = await provider.usage(spec, made.project_id)
    assert usage.as_of.tzinfo is UTC
    assert usage.lag >= timedelta(0)
    assert usage.consumption is None
    assert usage.stored_bytes is not None
    assert usage.stored_bytes > EMPTY


async def test_use_grows_with_what_is_written_once_the_provider_has_counted_it(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    looks = [await provider.usage(spec, made.project_id)]
    for fill in (FILL, FILL.replace("filling", "more")):
        await run_sql(made.credentials.writer, fill)
        await house.settle()
        looks.append(await provider.usage(spec, made.project_id))
    stored = [look.stored_bytes or 0 for look in looks]
    assert stored[1] - stored[0] > FILLED
    assert stored[2] - stored[1] > FILLED
    assert [look.as_of for look in looks] == sorted(look.as_of for look in looks)
    assert [look.consumption is not None for look in looks[1:]] == [house.meters] * 2
    if house.meters:
        check_growth(looks[1], looks[2])


def check_growth(earlier: Usage, later: Usage) -> None:
    """Counters of one period; what has been awake and stored meanwhile has been counted."""
    assert earlier.consumption is not None
    assert later.consumption is not None
    assert later.consumption.period_start == earlier.consumption.period_start <= earlier.as_of
    for figure in ("active_time_seconds", "compute_time_seconds", "data_storage_byte_hours"):
        assert getattr(later.consumption, figure) > getattr(earlier.consumption, figure) >= 0


async def test_of_a_paused_database_it_is_told_too_and_nothing_wakes(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await run_sql(made.credentials.writer, FILL)
    await provider.pause(spec, made.project_id)
    await house.settle()
    looks = [await provider.usage(spec, made.project_id)]
    assert not await house.awake(spec)
    assert (looks[0].stored_bytes or 0) > EMPTY + FILLED
    await house.settle()
    looks.append(await provider.usage(spec, made.project_id))
    assert not await house.awake(spec)
    awake = [look.consumption and look.consumption.active_time_seconds for look in looks]
    assert awake[0] == awake[1]
    assert not await lets_in(made.credentials.reader)


async def test_of_what_is_gone_nothing_is_told(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    never = house.new_spec()
    made = await provider.create(spec)
    await provider.delete(spec, made.project_id)
    for gone, handle in ((spec, made.project_id), (never, house.handle_of(never))):
        with pytest.raises(Missing) as missing:
            await provider.usage(gone, handle)
        assert missing.value.code == "database_not_found"


async def test_no_secret_is_in_it(house: House) -> None:
    spec, provider = house.new_spec(), house.provider
    made = await provider.create(spec)
    await house.settle()
    usage = await provider.usage(spec, made.project_id)
    said = repr(usage) + json.dumps(usage.as_dict())
    uris = [
        each for each in (made.credentials.owner, made.credentials.writer, made.credentials.reader) if each
    ]
    passwords = [urlsplit(uri.reveal()).password or "" for uri in uris]
    assert all(len(password) > 8 for password in passwords)
    assert not [password for password in passwords if password in said]
    assert "://" not in said
