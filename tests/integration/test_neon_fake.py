"""The stand-in behaves as awkwardly as Neon does, so that what passes against it has met the real traps."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.server import API_KEY
from agentdb_mcp.fake_neon.states import Metric
from agentdb_mcp.providers.neon_session import connected as connected_as_owner
from support.neon import Neon
from support.postgres import connected, run_sql
from support.servers import lets_in
from support.waiting import until


@pytest.fixture
async def raw(neon: Neon) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=neon.fake.api_url, headers=headers, trust_env=False) as client:
        yield client


LOST = (
    asyncpg.AdminShutdownError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What the driver makes of 57P01, depending on when it reads it."""


async def create(raw: httpx.AsyncClient, **project: object) -> dict[str, Any]:
    answer = await raw.post("/projects", json={"project": project})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def ready(neon: Neon, raw: httpx.AsyncClient, **project: object) -> tuple[str, ConnectionUri]:
    """A project whose operations have ended, and its owner's URI."""
    body = await create(raw, **project)
    neon.clock.advance(minutes=1)
    await neon.fake.catch_up()
    return body["project"]["id"], ConnectionUri(body["connection_uris"][0]["connection_uri"])


async def endpoint_of(raw: httpx.AsyncClient, project_id: str) -> dict[str, Any]:
    return (await raw.get(f"/projects/{project_id}/endpoints")).json()["endpoints"][0]


async def test_a_creation_goes_on_after_its_answer(neon: Neon, raw: httpx.AsyncClient) -> None:
    body = await create(raw, name="one")
    actions = [(each["action"], each["status"]) for each in body["operations"]]
    assert actions == [("create_timeline", "scheduling"), ("start_compute", "scheduling")]
    assert (body["branch"]["current_state"], body["endpoints"][0]["current_state"]) == ("init", "init")
    seen = set()
    path = f"/projects/{body['project']['id']}/operations"
    for _ in range(12):
        seen |= {tuple(each["status"] for each in (await raw.get(path)).json()["operations"])}
        neon.clock.advance(seconds=0.25)
    assert ("scheduling", "running") in seen
    assert ("running", "finished") in seen
    assert ("finished", "finished") in seen
    assert (await endpoint_of(raw, body["project"]["id"]))["current_state"] == "active"


async def test_a_project_at_work_is_locked(neon: Neon, raw: httpx.AsyncClient) -> None:
    project_id = (await create(raw))["project"]["id"]
    refused = await raw.patch(f"/projects/{project_id}", json={"project": {"name": "no"}})
    assert refused.status_code == 423
    assert refused.json()["message"].startswith("project already has running conflicting operations")
    assert refused.headers["x-neon-ret-request-id"] == refused.json()["request_id"]
    neon.clock.advance(minutes=1)
    assert (await raw.patch(f"/projects/{project_id}", json={"project": {"name": "yes"}})).status_code == 200


async def test_uris_are_as_neon_writes_them_and_connect(neon: Neon, raw: httpx.AsyncClient) -> None:
    _, owner = await ready(neon, raw)
    assert owner.reveal().endswith("/neondb?sslmode=require&channel_binding=require")
    async with connected(owner) as session:
        row = await session.fetchrow(
            "SELECT rolcreatedb, rolcreaterole, rolbypassrls, rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        assert list(row) == [True, True, True, False]


async def test_a_connection_without_tls_is_refused(neon: Neon, raw: httpx.AsyncClient) -> None:
    _, owner = await ready(neon, raw)
    arguments = dsn.arguments(owner.reveal()) | {"ssl": False}
    with pytest.raises(asyncpg.InternalServerError, match="insecure"):
        await asyncpg.connect(**arguments)


async def test_a_client_that_verifies_does_not_trust_it(neon: Neon, raw: httpx.AsyncClient) -> None:
    _, owner = await ready(neon, raw)
    arguments = dsn.arguments(owner.reveal()) | {"ssl": ssl.create_default_context()}
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(**arguments)


async def test_projects_do_not_see_each_other(neon: Neon, raw: httpx.AsyncClient) -> None:
    (_, one), (_, two) = await ready(neon, raw, name="same"), await ready(neon, raw, name="same")
    await run_sql(one, "CREATE TABLE here (i int)")
    async with connected(two) as session:
        assert await session.fetchval("SELECT to_regclass('here')") is None
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(**dsn.arguments(two.reveal()) | {"database": "postgres"})


async def test_a_disabled_compute_refuses_everybody(neon: Neon, raw: httpx.AsyncClient) -> None:
    project_id, owner = await ready(neon, raw)
    endpoint = await endpoint_of(raw, project_id)
    path = f"/projects/{project_id}/endpoints/{endpoint['id']}"
    changed = await raw.patch(path, json={"endpoint": {"disabled": True}})
    assert [each["action"] for each in changed.json()["operations"]] == ["suspend_compute"]
    neon.clock.advance(minutes=1)
    with pytest.raises(asyncpg.InternalServerError, match="endpoint is disabled"):
        await asyncpg.connect(**dsn.arguments(owner.reveal()))
    with pytest.raises(Unavailable, match="compute is disabled") as caught:
        async with connected_as_owner(owner):
            raise AssertionError
    assert caught.value.code == "database_unavailable"
    assert (await raw.post(f"{path}/start")).status_code == 406


async def test_a_suspended_compute_ends_its_sessions_and_wakes_for_the_next(
    neon: Neon, raw: httpx.AsyncClient
) -> None:
    project_id, owner = await ready(neon, raw)
    endpoint = await endpoint_of(raw, project_id)
    async with connected(owner) as session:
        backend = session.get_server_pid()
        await raw.post(f"/projects/{project_id}/endpoints/{endpoint['id']}/suspend")
        neon.clock.advance(minutes=1)
        await neon.fake.catch_up()
        with pytest.raises(LOST):
            await session.fetchval("SELECT 1")
    async with connected(owner) as session:
        assert session.get_server_pid() != backend


async def test_an_idle_compute_goes_to_sleep_and_a_used_one_does_not(
    neon: Neon, raw: httpx.AsyncClient
) -> None:
    project_id, owner = await ready(neon, raw)
    async with connected(owner):
        neon.clock.advance(hours=1)
        assert (await endpoint_of(raw, project_id))["current_state"] == "active"
    await until_closed(neon, project_id)
    neon.clock.advance(seconds=299)
    assert (await endpoint_of(raw, project_id))["current_state"] == "active"
    neon.clock.advance(seconds=2)
    assert (await endpoint_of(raw, project_id))["current_state"] == "idle"
    assert await lets_in(owner)
    assert (await endpoint_of(raw, project_id))["current_state"] == "active"


async def until_closed(neon: Neon, project_id: str) -> None:
    """The stand-in hears of a closed connection a moment later."""
    (endpoint,) = neon.fake.account.project(project_id).endpoints.values()

    async def closed() -> bool:
        return endpoint.connections == 0

    await until(closed)


async def test_a_quota_stops_computes_late_and_only_when_it_is_not_zero(
    neon: Neon, raw: httpx.AsyncClient
) -> None:
    project_id, owner = await ready(neon, raw)
    path = f"/projects/{project_id}"
    neon.fake.account.use(project_id, {Metric.COMPUTE_TIME: 5_000})

    async def set_quota(seconds: int) -> None:
        answer = await raw.patch(
            path, json={"project": {"settings": {"quota": {"compute_time_seconds": seconds}}}}
        )
        assert answer.status_code == 200
        neon.clock.advance(seconds=10)

    await set_quota(1)
    assert await lets_in(owner), "the figures are not in yet"
    neon.clock.advance(hours=1)
    with pytest.raises(asyncpg.InternalServerError, match=r"compute time quota.*Upgrade your plan"):
        await asyncpg.connect(**dsn.arguments(owner.reveal()))
    with pytest.raises(Unavailable) as caught:
        async with connected_as_owner(owner):
            raise AssertionError
    assert "Upgrade" not in str(caught.value)
    assert "compute time limit" in str(caught.value)
    await set_quota(0)
    assert await lets_in(owner), "0 is no limit"
    await set_quota(1)
    assert not await lets_in(owner)
    await set_quota(1_000_000)
    assert await lets_in(owner), "raised above what was used"


async def test_a_new_month_lifts_a_quota(neon: Neon, raw: httpx.AsyncClient) -> None:
    """Which is why a quota alone is no pause."""
    project_id, owner = await ready(neon, raw)
    quota = {"project": {"settings": {"quota": {"active_time_seconds": 1}}}}
    await raw.patch(f"/projects/{project_id}", json=quota)
    neon.clock.advance(hours=1)
    assert not await lets_in(owner)
    neon.clock.advance(days=25)
    assert await lets_in(owner)


async def test_a_deleted_project_is_gone_and_recoverable_for_seven_days(
    neon: Neon, raw: httpx.AsyncClient
) -> None:
    project_id, owner = await ready(neon, raw)
    await run_sql(owner, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert (await raw.delete(f"/projects/{project_id}")).status_code == 200
    assert (await raw.get(f"/projects/{project_id}")).status_code == 404
    assert (await raw.delete(f"/projects/{project_id}")).status_code == 404
    assert not await lets_in(owner)
    (item,) = (await raw.get("/projects?recoverable=true")).json()["projects"]
    assert item["id"] == project_id
    assert item["recoverable_until"] > item["deleted_at"]
    assert (await raw.post(f"/projects/{project_id}/recover")).status_code == 200
    async with connected(owner) as session:
        assert await session.fetchval("SELECT answer FROM kept") == 42
    await raw.delete(f"/projects/{project_id}")
    neon.clock.advance(days=8)
    assert (await raw.post(f"/projects/{project_id}/recover")).status_code == 404
    assert (await raw.get("/projects?recoverable=true")).json()["projects"] == []


async def test_listings_have_neons_quirks(neon: Neon, raw: httpx.AsyncClient) -> None:
    empty = (await raw.get("/projects")).json()
    assert "pagination" not in empty
    for name in ("apple", "apple", "pineapple"):
        await create(raw, name=name)
    assert len((await raw.get("/projects?search=appl")).json()["projects"]) == 3
    first = (await raw.get("/projects?limit=2")).json()
    last = (await raw.get("/projects", params={"limit": 2, "cursor": first["pagination"]["cursor"]})).json()
    assert [each["name"] for each in first["projects"] + last["projects"]] == ["pineapple", "apple", "apple"]
    assert last["pagination"]["cursor"], "a cursor comes with the last page too"
    item = first["projects"][0]
    assert "active_time" in item
    assert "compute_time_seconds" not in item
    neon.fake.account.unavailable.add(item["id"])
    partial = (await raw.get("/projects")).json()
    assert partial["unavailable_project_ids"] == [item["id"]]
    assert item["id"] not in {each["id"] for each in partial["projects"]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"{}", "project (field required)"),
        (b'{"project": null}', "project"),
        (b'{"project": {"name": 7}}', "project.name"),
        (b'{"project": {"name": null}}', "project.name"),
        (b'{"project": {"pg_version": 13}}', "project.pg_version"),
        (b'{"project": {"region_id": "mars"}}', "not supported"),
        (b'{"project": {"settings": {"quota": {"active_time_seconds": -1}}}}', "active_time_seconds"),
    ],
)
async def test_bad_requests_are_refused_in_neons_form(raw: httpx.AsyncClient, body: bytes, said: str) -> None:
    answer = await raw.post("/projects", content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == ""
    assert answer.json()["message"].startswith("invalid request: ")
    assert said in answer.json()["message"]


async def test_a_wrong_key_path_or_method_is_refused(neon: Neon, raw: httpx.AsyncClient) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    assert (await raw.get("/projects", headers=wrong)).status_code == 401
    assert (await raw.get("/nothing")).status_code == 404
    assert (await raw.put("/projects")).status_code == 405
    assert (await raw.get("/projects?org_id=org-other")).status_code == 404
