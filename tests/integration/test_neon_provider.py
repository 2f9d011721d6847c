"""The Neon provider against the stand-in: a life, and everything that gets in its way."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from agentdb_mcp.core.databases import DatabaseSpec, Observed
from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Missing, Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.fake_neon.account import ORG_ID
from agentdb_mcp.fake_neon.faults import BEFORE, Fault
from agentdb_mcp.fake_neon.states import Project
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS, in_region
from agentdb_mcp.providers.neon_records import SHUT, Quota
from support.neon import Neon, neon_spec
from support.postgres import connected, run_sql
from support.servers import lets_in

QUIET_FAULTS = [Fault.BUSY, Fault.RATE, Fault.RATE_SECONDS, Fault.RATE_DATE, Fault.UNAVAILABLE]
"""Those that Neon promises did nothing: nobody notices them."""

OPEN_FAULTS = [fault for fault in Fault if fault not in QUIET_FAULTS]


def quota_of(project: Project) -> Quota:
    return Quota(**project.quota)


async def insist(neon: Neon, act: Callable[[], Awaitable[object]]) -> int:
    """Try again after each failure, as the reconciler does; what was held back happens in between.

    Returns the number of tries.
    """
    for tries in range(1, 6):
        try:
            await act()
        except AgentDbError:
            await neon.fake.do_postponed()
        else:
            await neon.fake.do_postponed()
            return tries
    raise AssertionError("never done")


async def test_a_made_database_is_a_project_with_roles_that_own_nothing_of_it(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    (project,) = neon.projects()
    assert project.name == f"agentdb-agent-{spec.id}"
    assert (made.project_id, made.branch_id, made.database_name) == (project.id, project.branch.id, "neondb")
    async with connected(made.credentials.writer) as writer, connected(made.credentials.reader) as reader:
        await writer.execute("CREATE TABLE notes AS SELECT 7 AS id")
        assert await reader.fetchval("SELECT id FROM notes") == 7
        for role in (writer, reader):
            row = await role.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
            flags = (
                "rolsuper",
                "rolcreatedb",
                "rolcreaterole",
                "rolreplication",
                "rolbypassrls",
                "rolinherit",
            )
            assert not any(row[flag] for flag in flags)
            assert not await role.fetchval(
                "SELECT count(*) FROM pg_auth_members WHERE member = $1", row["oid"]
            )


async def test_no_role_is_made_through_neons_api(neon: Neon) -> None:
    await neon.provider.create(neon_spec())
    assert list(neon.projects()[0].roles) == ["neondb_owner"]
    assert not [path for _, path in neon.sent() if "/roles" in path]


async def test_a_project_is_made_with_what_its_plan_says(neon: Neon) -> None:
    await neon.provider.create(neon_spec("team"))
    (project,), plan = neon.projects(), NEON_PROJECT_DEFAULTS["team"]
    (endpoint,) = project.endpoints.values()
    assert (endpoint.min_cu, endpoint.max_cu) == (plan.size.min_cu, plan.size.max_cu)
    assert endpoint.suspend_timeout_seconds == plan.size.suspend_timeout_seconds
    assert project.history_retention_seconds == plan.history_retention_seconds


async def test_making_one_takes_one_post_and_few_looks(neon: Neon) -> None:
    await neon.provider.create(neon_spec())
    sent = neon.sent()
    assert [each for each in sent if each[0] != "GET"] == [("POST", "/projects")]
    assert len([each for each in sent if "/operations/" not in each[1]]) == 4


async def test_a_second_call_adopts_keeps_the_data_and_renews_the_passwords(neon: Neon) -> None:
    spec = neon_spec()
    first = await neon.provider.create(spec)
    await run_sql(first.credentials.writer, "CREATE TABLE kept AS SELECT 42 AS answer")
    second = await neon.provider.create(spec)
    assert second.project_id == first.project_id
    assert not await lets_in(first.credentials.writer)
    async with connected(second.credentials.reader) as reader:
        assert await reader.fetchval("SELECT answer FROM kept") == 42
    assert len(neon.projects()) == 1


async def test_a_name_that_only_contains_ours_is_not_ours(neon: Neon) -> None:
    spec = neon_spec()
    await neon.api.create_project({"name": f"agentdb-agent-{spec.id}-copy"})
    made = await neon.provider.create(spec)
    assert len(neon.projects()) == 2
    await neon.provider.delete(spec, made.project_id)
    assert [each.name for each in neon.projects()] == [f"agentdb-agent-{spec.id}-copy"]


async def test_of_several_of_one_name_the_oldest_stays(neon: Neon) -> None:
    spec = neon_spec()
    for _ in range(3):
        await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
        neon.clock.advance(minutes=1)
    oldest = neon.projects()[-1]
    made = await neon.provider.create(spec)
    assert made.project_id == oldest.id
    assert [each.id for each in neon.projects()] == [oldest.id]


@pytest.mark.parametrize("fault", QUIET_FAULTS)
async def test_what_neon_says_did_nothing_is_tried_again_at_once(neon: Neon, fault: Fault) -> None:
    for method in ("GET", "POST"):
        neon.fake.faults.add(fault, method=method, times=2)
    await neon.provider.create(neon_spec())
    assert len(neon.projects()) == 1


@pytest.mark.parametrize("fault", OPEN_FAULTS)
async def test_no_fault_of_the_post_leaves_two_projects_or_none(neon: Neon, fault: Fault) -> None:
    spec = neon_spec()
    neon.fake.faults.add(fault, method="POST")
    async with neon.another(patient=fault is not Fault.SLOW) as provider:
        tries = await insist(neon, lambda: provider.create(spec))
    assert len(neon.projects()) == 1
    assert len(neon.sent("POST")) == (2 if fault in BEFORE else 1), "no second POST before a look"
    assert tries <= (2 if fault in BEFORE or fault in {Fault.LATE, Fault.SLOW} else 1)


@pytest.mark.parametrize("number", [0, 1, 3, 4, 6])
async def test_a_fault_of_a_look_during_a_making_is_not_noticed(neon: Neon, number: int) -> None:
    for fault in (Fault.LOST, Fault.REPLY_CUT, Fault.GATEWAY, Fault.ERROR):
        neon.fake.faults.skip(number)
        neon.fake.faults.add(fault)
    await neon.provider.create(neon_spec())
    assert len(neon.projects()) == 1


async def test_any_fault_of_any_request_of_a_delete_ends_with_none(neon: Neon) -> None:
    async with neon.another(patient=False) as provider:
        for fault, number in itertools.product(Fault, range(3)):
            spec = neon_spec()
            await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
            (project,) = neon.projects()
            await neon.api.settle(project.id)
            neon.fake.faults.skip(number)
            neon.fake.faults.add(fault)
            await insist(neon, partial(provider.delete, spec, project.id))
            assert neon.projects() == [], (fault, number)
            assert await neon.provider.observe(spec, project.id) is Observed.DELETED


async def test_any_fault_of_any_request_of_a_pause_ends_paused_and_never_unlimited(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    (project,) = neon.projects()
    async with neon.another(patient=False) as provider:
        for fault, number in itertools.product(Fault, range(6)):
            await neon.provider.resume(spec, made.project_id)
            await neon.api.start_endpoint(made.project_id, next(iter(project.endpoints)))
            neon.fake.faults.skip(number)
            neon.fake.faults.add(fault)
            await insist(neon, partial(provider.pause, spec, made.project_id))
            neon.fake.faults.rules.clear()
            assert quota_of(project) == SHUT, (fault, number)
            assert await neon.provider.observe(spec, made.project_id) is Observed.PAUSED, (fault, number)


async def test_a_pause_reaches_every_compute_and_survives_a_new_month(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    (project,) = neon.projects()
    replica = {"endpoint": {"branch_id": project.branch.id, "type": "read_only"}}
    await neon.http.write("POST", f"/projects/{project.id}/endpoints", replica)
    await neon.api.settle(project.id)
    await neon.provider.pause(spec, made.project_id)
    assert [each.disabled for each in project.endpoints.values()] == [True, True]
    neon.clock.advance(days=40)
    assert not await lets_in(made.credentials.writer)
    assert not await lets_in(made.credentials.reader)


async def test_a_pause_ends_sessions_at_once_and_a_resume_lets_them_in_again(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    async with connected(made.credentials.writer) as writer:
        await writer.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await neon.provider.pause(spec, made.project_id)
        await neon.fake.catch_up()
        assert not await lets_in(made.credentials.writer)
    await neon.provider.resume(spec, made.project_id)
    assert quota_of(neon.projects()[0]) == NEON_PROJECT_DEFAULTS["free"].quota
    assert await neon.provider.observe(spec, made.project_id) is Observed.ACTIVE
    async with connected(made.credentials.reader) as reader:
        assert await reader.fetchval("SELECT answer FROM kept") == 42


async def test_a_resume_applies_the_sizes_of_a_new_plan(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await neon.provider.pause(spec, made.project_id)
    await neon.provider.resume(DatabaseSpec(spec.id, spec.kind, "enterprise"), made.project_id)
    (endpoint,) = neon.projects()[0].endpoints.values()
    assert endpoint.max_cu == NEON_PROJECT_DEFAULTS["enterprise"].size.max_cu


async def test_a_change_of_plan_resizes_the_compute_that_is_there_and_wakes_nobody(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await neon.provider.pause(spec, made.project_id)
    await neon.provider.tune(DatabaseSpec(spec.id, spec.kind, "team"), made.project_id)
    (project,) = neon.projects()
    (endpoint,) = project.endpoints.values()
    assert endpoint.max_cu == NEON_PROJECT_DEFAULTS["team"].size.max_cu
    assert project.history_retention_seconds == NEON_PROJECT_DEFAULTS["team"].history_retention_seconds
    assert await neon.provider.observe(spec, made.project_id) is Observed.PAUSED


async def test_half_a_pause_is_neither_paused_nor_active(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    (endpoint,) = neon.projects()[0].endpoints
    await neon.api.change_endpoint(made.project_id, endpoint, {"disabled": True})
    assert await neon.provider.observe(spec, made.project_id) is Observed.UNKNOWN
    await neon.provider.resume(spec, made.project_id)
    assert await neon.provider.observe(spec, made.project_id) is Observed.ACTIVE


async def test_what_somebody_deleted_at_neon_comes_back_with_its_data(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await run_sql(made.credentials.writer, "CREATE TABLE kept AS SELECT 42 AS answer")
    await neon.api.delete_project(made.project_id)
    assert await neon.provider.observe(spec, made.project_id) is Observed.DELETED
    again = await neon.provider.create(spec)
    assert again.project_id == made.project_id
    async with connected(again.credentials.reader) as reader:
        assert await reader.fetchval("SELECT answer FROM kept") == 42


async def test_what_we_deleted_does_not_come_back(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await run_sql(made.credentials.writer, "CREATE TABLE gone (i int)")
    await neon.provider.delete(spec, made.project_id)
    again = await neon.provider.create(spec)
    assert again.project_id != made.project_id
    async with connected(again.credentials.reader) as reader:
        assert await reader.fetchval("SELECT to_regclass('gone')") is None


async def test_a_key_that_sees_nothing_proves_nothing(neon: Neon) -> None:
    """A project out of sight is not made anew: its data would be left behind."""
    spec = neon_spec()
    assert await neon.provider.observe(spec, "cold-bonus-12345678") is Observed.UNKNOWN
    with pytest.raises(Missing, match="another organization"):
        await neon.provider.resume(spec, "cold-bonus-12345678")


async def test_a_project_renamed_by_a_person_is_still_found_by_its_id(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await neon.api.rename_project(made.project_id, "mine now")
    assert await neon.provider.observe(spec, made.project_id) is Observed.ACTIVE
    await neon.provider.delete(spec, made.project_id)
    assert neon.projects() == []


async def test_a_pause_and_a_resume_give_a_renamed_project_its_name_back(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    for act in (neon.provider.pause, neon.provider.resume):
        await neon.api.rename_project(made.project_id, "mine now")
        await act(spec, made.project_id)
        assert [each.name for each in neon.projects()] == [f"agentdb-agent-{spec.id}"]


async def test_where_a_record_names_no_project_that_of_its_name_is_taken(neon: Neon) -> None:
    spec = neon_spec()
    edited = replace(spec, project_id="cold-bonus-12345678")
    with pytest.raises(Missing, match="another organization"):
        await neon.provider.create(edited)
    assert neon.projects() == []
    made = await neon.provider.create(spec)
    assert (await neon.provider.create(edited)).project_id == made.project_id
    assert len(neon.projects()) == 1


async def test_a_compute_deleted_by_a_person_is_said_so(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    (endpoint,) = neon.projects()[0].endpoints
    await neon.http.write("DELETE", f"/projects/{made.project_id}/endpoints/{endpoint}")
    assert await neon.provider.observe(spec, made.project_id) is Observed.UNKNOWN
    with pytest.raises(Misconfigured, match="no compute") as refused:
        await neon.provider.resume(spec, made.project_id)
    assert refused.value.code == "compute_missing"


async def test_a_partial_listing_makes_nothing(neon: Neon) -> None:
    spec = neon_spec()
    await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.fake.account.unavailable.add(neon.projects()[0].id)
    with pytest.raises(Unavailable):
        await neon.provider.create(spec)
    with pytest.raises(Unavailable):
        await neon.provider.observe(spec, None)
    assert len(neon.projects()) == 1
    assert not (await neon.provider.census()).complete


async def test_a_double_is_not_taken_for_the_one_on_record_that_a_listing_lacks(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.fake.account.unavailable.add(made.project_id)
    for act in (
        neon.provider.create(replace(spec, project_id=made.project_id)),
        neon.provider.delete(spec, None),
    ):
        with pytest.raises(Unavailable):
            await act
    assert len(neon.projects()) == 2


async def test_the_census_shows_ours_only(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    for name in ("agentdb-agent-", "agentdb-agent-not-an-id", f"someone-agentdb-agent-{spec.id}", "other"):
        await neon.api.create_project({"name": name})
    census = await neon.provider.census()
    (owned,) = census.owned
    assert (owned.project_id, owned.database_id, owned.marked) == (made.project_id, spec.id, False)
    assert census.complete


async def test_a_delete_that_was_cut_short_shows_in_the_census(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    neon.fake.faults.add(Fault.LOST, method="DELETE")
    with pytest.raises(Unavailable):
        await neon.provider.delete(spec, made.project_id)
    (owned,) = (await neon.provider.census()).owned
    assert owned.marked
    await neon.provider.discard(owned)
    assert neon.projects() == []


async def test_a_delete_that_was_cut_short_is_finished_where_no_record_names_the_project(neon: Neon) -> None:
    spec = neon_spec()
    await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.fake.faults.add(Fault.LOST, method="DELETE")
    with pytest.raises(Unavailable):
        await neon.provider.delete(spec, None)
    assert [project.name for project in neon.projects()] == [f"agentdb-deleted-{spec.id}"]
    await neon.provider.delete(spec, None)
    assert neon.projects() == []


async def test_an_extra_one_whose_delete_was_cut_short_is_deleted_by_the_next_call(neon: Neon) -> None:
    spec = neon_spec()
    made = await neon.provider.create(spec)
    await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.fake.faults.add(Fault.LOST, method="DELETE")
    with pytest.raises(Unavailable):
        await neon.provider.create(replace(spec, project_id=made.project_id))
    assert len(neon.projects()) == 2
    again = await neon.provider.create(replace(spec, project_id=made.project_id))
    assert [project.id for project in neon.projects()] == [made.project_id] == [again.project_id]


async def test_the_census_reads_every_page(neon: Neon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentdb_mcp.providers.neon_api.PROJECTS_PER_PAGE", 2)
    specs = [neon_spec() for _ in range(4)]
    for spec in specs:
        await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.sent()
    assert {each.database_id for each in (await neon.provider.census()).owned} == {each.id for each in specs}
    assert len(neon.sent()) == 3


async def test_projects_of_another_organization_are_not_ours(neon: Neon) -> None:
    spec = neon_spec()
    await neon.provider.create(spec)
    neon.projects()[0].org_id = "org-other"
    async with neon.another(org_id=ORG_ID) as theirs:
        assert (await theirs.census()).owned == ()
        await theirs.delete(spec, None)
    assert len(neon.projects()) == 1


async def test_a_wrong_organization_is_the_operators_to_mend(neon: Neon) -> None:
    async with neon.another(org_id="org-not-there") as wrong:
        with pytest.raises(Misconfigured, match="does not know the organization") as refused:
            await wrong.create(neon_spec())
    assert "AGENTDB_NEON_ORGANIZATION" in refused.value.hint
    assert neon.projects() == []


async def test_a_bad_key_is_the_operators_to_mend(neon: Neon) -> None:
    async with neon.another(key="napi_wrong_and_secret") as bad:
        with pytest.raises(Misconfigured, match="does not accept NEON_API_KEY") as caught:
            await bad.create(neon_spec())
    assert "napi_wrong" not in str(caught.value)


async def test_a_region_that_is_gone_is_the_operators_to_mend(neon: Neon) -> None:
    elsewhere = NeonProvider(neon.api, plans=in_region("azure-gwc"))
    with pytest.raises(Misconfigured) as refused:
        await elsewhere.create(neon_spec())
    assert refused.value.code == "provider_refused"
    assert neon.projects() == []


async def test_a_full_plan_says_so(neon: Neon) -> None:
    neon.fake.account.traits.projects_limit = 0
    with pytest.raises(Misconfigured) as caught:
        await neon.provider.create(neon_spec())
    assert caught.value.code == "provider_limit_reached"


async def test_a_neon_that_stays_away_is_given_up_in_bounded_time(neon: Neon) -> None:
    neon.fake.faults.add(Fault.UNAVAILABLE, times=1000)
    begin = neon.clock.monotonic()
    with pytest.raises(Unavailable) as caught:
        await neon.provider.create(neon_spec())
    assert caught.value.code == "provider_unavailable"
    assert neon.clock.monotonic() - begin <= 31
    assert len(neon.sent()) < 15


async def test_a_failed_operation_is_reported_and_the_next_call_goes_on(neon: Neon) -> None:
    spec = neon_spec()
    created = await neon.api.create_project({"name": f"agentdb-agent-{spec.id}"})
    neon.projects()[0].operations[0].failed = True
    with pytest.raises(Unavailable, match="could not finish"):
        await neon.api.wait_for(created.project.id, created.operations)
    made = await neon.provider.create(spec)
    assert await lets_in(made.credentials.writer)


async def test_operations_that_do_not_end_are_left_to_the_next_call(neon: Neon) -> None:
    neon.fake.account.traits.operation_seconds = 600
    spec = neon_spec()
    with pytest.raises(Unavailable, match="still at work"):
        await neon.provider.create(spec)
    neon.clock.advance(hours=1)
    neon.fake.account.traits.operation_seconds = 1
    await neon.provider.create(spec)
    assert len(neon.projects()) == 1


async def test_many_at_once_make_one_each(neon: Neon) -> None:
    specs = [neon_spec() for _ in range(3)]
    await asyncio.gather(*(neon.provider.create(spec) for spec in specs * 2))
    assert sorted(each.name for each in neon.projects()) == sorted(f"agentdb-agent-{s.id}" for s in specs)


async def test_no_log_line_holds_a_key_or_a_uri(neon: Neon, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    spec = neon_spec()
    neon.fake.faults.add(Fault.ERROR_AFTER, method="POST")
    made = await neon.provider.create(spec)
    await neon.provider.delete(spec, made.project_id)
    uris = [made.credentials.writer, made.credentials.reader]
    if made.credentials.owner:
        uris.append(made.credentials.owner)
    secrets = [uri.reveal().split("@")[0].split(":")[2] for uri in uris] + ["napi_fake"]
    assert "request" not in secrets
    assert "neon: POST /projects" in caplog.text
    assert not [secret for secret in secrets if secret in caplog.text]


async def test_a_project_on_anothers_record_is_not_taken_and_not_deleted_for_its_name(neon: Neon) -> None:
    """A person gave it this database's name in Neon's console."""
    spec = neon_spec()
    theirs = (await neon.provider.create(neon_spec())).project_id
    await neon.api.rename_project(theirs, f"agentdb-agent-{spec.id}")

    async def on_record(_database: DatabaseId, _provider: str, projects: Sequence[str]) -> set[str]:
        return {theirs} & set(projects)

    provider = NeonProvider(neon.api, on_record_of_others=on_record)
    ours = (await provider.create(spec)).project_id
    assert ours != theirs
    await provider.create(replace(spec, project_id=ours))
    await provider.delete(spec, ours)
    assert [each.id for each in neon.projects()] == [theirs]
