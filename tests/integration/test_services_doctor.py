"""Every trouble an operator can have is named, with a way out that leads out."""

import re
import secrets
from pathlib import Path

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Imported, ManagedDatabase
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.services.doctor import WAYS_OUT, Doctor
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.store import Store, open_keys
from support.neon import Neon, neon_spec
from support.postgres import run_sql
from support.servers import lets_in

ADA = UserId("ada")
PAGE = Path(__file__).parents[2] / "docs/how-to/mend.md"


@pytest.fixture
async def shared(lifecycle: LifecycleService) -> ManagedDatabase:
    return (await lifecycle.register_user(ADA)).database


@pytest.fixture(autouse=True)
async def _given_away(store: Store, admin_uri: ConnectionUri, control_uri: ConnectionUri) -> None:
    database = control_uri.reveal().rpartition("/")[2]
    await store.give_audit_away(ConnectionUri(admin_uri.reveal().replace("/postgres?", f"/{database}?")))


async def codes(store: Store, neon: Neon) -> list[str]:
    providers = {"neon": neon.provider}
    found = await Doctor(store, providers, Sweeper(store, providers)).examine()
    assert all(each.words and each.way_out for each in found)
    assert not [each for each in found if "postgresql://" in each.words]
    return [each.code for each in found]


async def test_nothing_is_wrong_where_nothing_is(store: Store, neon: Neon, shared: ManagedDatabase) -> None:
    assert await codes(store, neon) == []


async def test_a_users_own_database_that_could_not_be_opened_is_found(store: Store, neon: Neon) -> None:
    """What an import leaves behind when the URI of its line opens nothing."""
    given = Imported(ADA, WorkspaceId("shop"), "Shop", "user", "local", None)
    await store.record_import(given)
    assert await codes(store, neon) == ["not_imported"]


async def test_a_sealed_value_that_was_changed_is_found_and_mended_by_new_credentials(
    store: Store, neon: Neon, lifecycle: LifecycleService, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    await run_sql(
        control_uri, "UPDATE user_global_database SET writer_connection_uri = reader_connection_uri"
    )
    assert await codes(store, neon) == ["ciphertext_invalid"]
    assert (await lifecycle.mend(shared.id)).pending is None
    assert await codes(store, neon) == []
    for uri in await store.open_credentials(shared.id):
        assert await lets_in(uri)


@pytest.mark.parametrize("column", ["neon_project_id", "reader_connection_uri"])
async def test_a_row_that_lost_a_part_is_made_whole(
    store: Store, neon: Neon, shared: ManagedDatabase, control_uri: ConnectionUri, column: str
) -> None:
    await run_sql(
        control_uri,
        f"UPDATE user_global_database SET {column} = NULL, next_attempt_at = now() - interval '1 hour'",
    )
    assert await codes(store, neon) == ["overdue"]
    assert (await Reconciler(store, {"neon": neon.provider}).run_due()).done == 1
    assert await codes(store, neon) == []
    (row,) = await store.list_databases(ADA)
    assert row.project_id == shared.project_id
    assert [each.id for each in neon.projects()] == [shared.project_id]


async def test_two_rows_of_one_project_are_found_and_the_edited_one_finds_its_own_again(
    store: Store, neon: Neon, lifecycle: LifecycleService, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    other = (await lifecycle.create_workspace(WorkspaceId("shop"), ADA)).database
    await run_sql(control_uri, f"UPDATE workspace_database SET neon_project_id = '{shared.project_id}'")
    assert await codes(store, neon) == ["project_shared"]
    assert (await lifecycle.mend(other.id)).pending == "project_shared"
    assert await codes(store, neon) == ["project_shared"]
    await run_sql(control_uri, "UPDATE workspace_database SET neon_project_id = NULL")
    assert (await lifecycle.mend(other.id)).database.project_id == other.project_id
    assert await codes(store, neon) == []
    await run_sql(
        control_uri,
        "UPDATE managed_database SET ownership_type = 'user', provider = 'external', neon_project_id = 'app'",
    )
    found = await Doctor(store, {}, Sweeper(store, {})).examine()
    assert found == [], "two users' own databases, called alike"


async def test_a_project_without_a_compute_is_found_and_mended_when_it_has_one_again(
    store: Store, neon: Neon, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    (project,) = neon.projects()
    taken = dict(project.endpoints)
    project.endpoints.clear()
    assert (await lifecycle.mend(shared.id)).pending == "compute_missing"
    assert await codes(store, neon) == ["compute_missing"]
    project.endpoints |= taken
    assert (await lifecycle.mend(shared.id)).pending is None
    assert await codes(store, neon) == []


async def test_what_a_person_shut_in_neons_console_is_opened_by_a_resume(
    neon: Neon, lifecycle: LifecycleService, shared: ManagedDatabase
) -> None:
    (project,) = neon.projects()
    for endpoint in project.endpoints.values():
        endpoint.disabled = True
    neon.fake.account.set_quota(project, {"active_time_seconds": 1})
    assert (await lifecycle.resume(shared.id)).pending is None
    assert not any(endpoint.disabled for endpoint in project.endpoints.values())
    assert project.quota.get("active_time_seconds") != 1


async def test_what_was_lost_for_good_is_made_anew_and_empty_when_its_record_is_cleared(
    store: Store, neon: Neon, lifecycle: LifecycleService, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    await neon.api.delete_project(shared.project_id or "")
    await neon.clock.sleep(8 * 24 * 3600)
    assert (await lifecycle.mend(shared.id)).pending == "database_not_found"
    assert "database_not_found" in await codes(store, neon)
    await run_sql(control_uri, "UPDATE user_global_database SET neon_project_id = NULL")
    assert (await lifecycle.mend(shared.id)).pending is None
    assert await codes(store, neon) == []


async def test_a_provider_without_its_key_is_told_of_beside_everything_else(
    store: Store, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    await run_sql(control_uri, "UPDATE user_global_database SET writer_connection_uri = 'x'")
    found = await Doctor(store, {}, Sweeper(store, {}), chosen="neon").examine()
    assert [(each.subject, each.code) for each in found] == [
        (f"database {shared.id}", "ciphertext_invalid"),
        ("provider neon", "settings_invalid"),
    ]


async def test_a_key_that_is_not_here_is_found(
    neon: Neon, shared: ManagedDatabase, control_uri: ConnectionUri
) -> None:
    other = await Store.open(control_uri, open_keys(KeyText(secrets.token_hex(32)), (), None))
    assert await codes(other, neon) == ["encryption_key_unknown"]
    await other.close()


async def test_what_could_not_be_made_and_waits_too_long_is_found(
    store: Store, neon: Neon, lifecycle: LifecycleService, control_uri: ConnectionUri
) -> None:
    await store.register_user(ADA, plan=None, provider="neon")
    assert await codes(store, neon) == []
    await run_sql(control_uri, "UPDATE managed_database SET next_attempt_at = now() - interval '1 hour'")
    assert await codes(store, neon) == ["overdue"]
    neon.fake.account.traits.projects_limit = 0
    assert (await Reconciler(store, {"neon": neon.provider}).run_due()).failed
    assert await codes(store, neon) == ["provider_limit_reached"]


async def test_a_database_of_a_provider_that_is_not_set_up_is_found(store: Store, neon: Neon) -> None:
    await store.register_user(ADA, plan=None, provider="elsewhere")
    assert await codes(store, neon) == ["settings_invalid"]


async def test_orphans_are_found_and_stay(store: Store, neon: Neon, shared: ManagedDatabase) -> None:
    await neon.provider.create(neon_spec())
    assert await codes(store, neon) == ["orphan"]
    assert len(neon.projects()) == 2


async def test_a_provider_that_does_not_answer_or_not_fully_is_found(
    store: Store, neon: Neon, shared: ManagedDatabase
) -> None:
    neon.fake.account.unavailable = {shared.project_id or ""}
    assert await codes(store, neon) == ["unjudged"]
    neon.fake.faults.add(Fault.UNAVAILABLE, times=1000)
    assert await codes(store, neon) == ["provider_unavailable"]


async def test_a_key_of_neons_that_is_not_accepted_is_found(
    store: Store, neon: Neon, shared: ManagedDatabase
) -> None:
    async with neon.another(key="napi_wrong") as wrong:
        providers = {"neon": wrong}
        found = await Doctor(store, providers, Sweeper(store, providers)).examine()
    assert [each.code for each in found] == ["settings_invalid"]


def test_every_way_out_is_on_the_page_and_the_other_way_round() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)`", PAGE.read_text(), re.MULTILINE)) == set(WAYS_OUT)


async def test_a_trail_that_the_serving_role_could_change_is_found(
    admin_uri: ConnectionUri, control_uri: ConnectionUri, neon: Neon, store: Store
) -> None:
    database = control_uri.reveal().rpartition("/")[2]
    above = ConnectionUri(admin_uri.reveal().replace("/postgres?", f"/{database}?"))
    serving = dsn.arguments(control_uri.reveal())["user"]
    await run_sql(above, f'ALTER FUNCTION agentdb_audit.append OWNER TO "{serving}"')
    assert await codes(store, neon) == ["audit_changeable"]
