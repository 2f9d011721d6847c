"""Our client of Neon's API against the stand-in: paging, patience, and what it makes of answers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.usage import Consumption
from agentdb_mcp.fake_neon.account import ORG_ID
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.fake_neon.states import Metric
from agentdb_mcp.providers.neon_refusals import Gone, OutcomeUnknown
from agentdb_mcp.providers.neon_usage import METRICS, NeonUsage
from agentdb_mcp.store import Keys, Store
from agentdb_mcp.store.rates import LONGEST_HOLD
from support.neon import Neon, RationedClock, neon_at, new_http
from support.servers import cut_after


@pytest.fixture
async def rationed(admin_uri: ConnectionUri, control_uri: ConnectionUri, store: Store) -> AsyncIterator[Neon]:
    """Where requests are counted, together with those of others."""
    async with neon_at(admin_uri, turns=store, clock=RationedClock(control_uri)) as neon:
        yield neon


async def made(neon: Neon, name: str = "one") -> str:
    created = await neon.api.create_project({"name": name})
    await neon.api.settle(created.project.id)
    return created.project.id


async def test_a_new_project_has_not_been_metered_yet(neon: Neon) -> None:
    project = await neon.api.project(await made(neon))
    assert project.consumption is None
    assert project.stored_bytes is not None
    assert project.stored_bytes > 1_000_000
    assert project.created_at == neon.projects()[0].created_at


async def test_totals_are_late_and_belong_to_a_calendar_month(neon: Neon) -> None:
    project_id = await made(neon)

    async def metered() -> Consumption:
        found = (await neon.api.project(project_id)).consumption
        assert found is not None
        return found

    neon.clock.advance(minutes=20)
    neon.fake.account.use(project_id, {Metric.COMPUTE_TIME: 900, Metric.TRANSFERRED: 5_000})
    assert (await metered()).data_transfer_bytes == 0
    neon.clock.advance(hours=1)
    late = await metered()
    assert late.data_transfer_bytes == 5_000
    assert 900 <= (late.compute_time_seconds or 0) < 1100
    assert (late.period_start, late.period_end) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    neon.clock.advance(days=31)
    fresh = await metered()
    assert (fresh.data_transfer_bytes, fresh.period_start.month) == (0, 4)


async def test_history_is_read_by_the_hour_over_several_pages(
    neon: Neon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentdb_mcp.providers.neon_usage.PROJECTS_PER_PAGE", 1)
    ids = [await made(neon, name) for name in ("one", "two")]
    start = neon.clock()
    for project_id in ids:
        neon.fake.account.use(project_id, {Metric.TRANSFERRED: 7_000})
    neon.clock.advance(hours=3)
    values = await NeonUsage(neon.http, org_id=ORG_ID).history(start, neon.clock(), "hourly")
    assert values is not None
    assert {each.project_id for each in values} == set(ids)
    assert {each.metric for each in values} == set(METRICS)
    assert all(each.end - each.start == timedelta(hours=1) for each in values)
    transferred = [each.value for each in values if each.metric == "public_network_transfer_bytes"]
    assert sum(transferred) == 14_000
    storage = [
        each.value
        for each in values
        if each.metric == "root_branch_bytes_month" and each.project_id == ids[0]
    ]
    assert max(storage) == neon.projects()[0].storage_bytes, (
        "an hour of storage is as many byte-hours as bytes"
    )


async def test_history_of_named_projects_only(neon: Neon) -> None:
    ids = [await made(neon, name) for name in ("one", "two")]
    start = neon.clock()
    neon.clock.advance(hours=2)
    values = await NeonUsage(neon.http, org_id=ORG_ID).history(start, neon.clock(), "daily", ids[:1])
    assert values is not None
    assert {each.project_id for each in values} == set(ids[:1])


async def test_a_plan_without_history_is_no_error(neon: Neon) -> None:
    neon.fake.account.traits.offers_history = False
    usage = NeonUsage(neon.http, org_id=ORG_ID)
    assert await usage.history(neon.clock() - timedelta(hours=2), neon.clock(), "hourly") is None


async def test_history_too_far_back_is_refused(neon: Neon) -> None:
    usage = NeonUsage(neon.http, org_id=ORG_ID)
    with pytest.raises(Misconfigured):
        await usage.history(neon.clock() - timedelta(days=30), neon.clock(), "hourly")


async def test_the_rate_of_consumption_requests_is_its_own(rationed: Neon) -> None:
    usage, begin = NeonUsage(rationed.http, org_id=ORG_ID), rationed.clock.monotonic()
    for _ in range(20):
        await usage.history(rationed.clock() - timedelta(hours=2), rationed.clock(), "hourly")
    assert rationed.clock.monotonic() - begin > 20
    before = rationed.clock.monotonic()
    await rationed.api.regions()
    assert rationed.clock.monotonic() == before


async def test_a_wait_that_neon_asks_for_is_kept(neon: Neon) -> None:
    for fault in (Fault.RATE_SECONDS, Fault.RATE_DATE):
        neon.fake.faults.add(fault)
        begin = neon.clock.monotonic()
        await neon.api.regions()
        assert 2 <= neon.clock.monotonic() - begin < 2.5


async def test_a_wait_that_is_too_long_is_kept_by_asking_nothing_whatever_the_process(
    rationed: Neon, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentdb_mcp.fake_neon.server.RETRY_SECONDS", 3600)
    rationed.fake.faults.add(Fault.RATE_SECONDS)
    begin = rationed.clock.monotonic()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rationed.api.regions()
    async with rationed.another(turns=store) as other:
        with pytest.raises(Unavailable):
            await other.census()
    assert len(rationed.sent()) == 1
    assert rationed.clock.monotonic() == begin
    await rationed.clock.sleep(LONGEST_HOLD)
    assert await rationed.api.regions()


async def test_without_the_control_plane_nothing_is_sent_and_that_is_said(
    neon: Neon, admin_uri: ConnectionUri, keys: Keys
) -> None:
    async with cut_after(0, admin_uri) as nowhere:
        lost = await Store.open(nowhere, keys)
        async with neon.another(turns=lost) as provider:
            with pytest.raises(Unavailable) as caught:
                await provider.census()
        await lost.close()
    assert caught.value.code == "control_plane_unavailable"
    assert neon.sent() == []


async def test_a_change_is_not_sent_again_when_its_outcome_is_unknown(neon: Neon) -> None:
    http = new_http(neon.fake, neon.clock, patient=False)
    for fault in (
        Fault.SLOW,
        Fault.REPLY_LOST,
        Fault.REPLY_CUT,
        Fault.GATEWAY,
        Fault.ERROR_AFTER,
        Fault.LOST,
    ):
        neon.fake.faults.add(fault)
        neon.sent()
        with pytest.raises(OutcomeUnknown):
            await http.write("POST", "/projects/none/recover")
        assert len(neon.sent()) == 1
    await http.close()


async def test_a_connection_that_was_never_made_is_tried_again(neon: Neon) -> None:
    port = neon.fake.port
    http = new_http(neon.fake, neon.clock)
    await neon.fake.stop_listening()
    with pytest.raises(Unavailable) as caught:
        await http.write("DELETE", "/projects/none")
    assert not isinstance(caught.value, OutcomeUnknown)
    await neon.fake.start(port)
    with pytest.raises(Gone):
        await http.write("DELETE", "/projects/none")
    await http.close()


async def test_every_request_carries_an_id_of_its_own(neon: Neon, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "agentdb_mcp")
    await neon.api.regions()
    await neon.api.regions()
    lines = [each.getMessage() for each in caplog.records if "GET /regions: 200" in each.getMessage()]
    ids = [line.rsplit("[", 1)[1].split(",")[0] for line in lines]
    assert len(set(ids)) == 2
    for line, sent in zip(lines, ids, strict=True):
        assert f"theirs {sent}" in line, "Neon answers with the id it was given"


async def test_regions_are_listed(neon: Neon) -> None:
    regions = await neon.api.regions()
    assert [each.id for each in regions if each.default] == ["aws-us-east-1"]
    assert "aws-eu-central-1" in {each.id for each in regions}


async def test_a_compute_is_put_to_sleep_and_woken(neon: Neon) -> None:
    project_id = await made(neon)
    (endpoint,) = await neon.api.endpoints(project_id)
    assert endpoint.state == "active"
    await neon.api.suspend_endpoint(project_id, endpoint.id)
    assert (await neon.api.endpoints(project_id))[0].state == "idle"
    await neon.api.start_endpoint(project_id, endpoint.id)
    assert (await neon.api.endpoints(project_id))[0].state == "active"


async def test_a_busy_project_is_waited_for(neon: Neon) -> None:
    created = await neon.api.create_project({"name": "busy"})
    await neon.api.rename_project(created.project.id, "patient")
    assert neon.projects()[0].name == "patient"
    assert len([each for each in neon.sent() if each[0] == "PATCH"]) > 1
