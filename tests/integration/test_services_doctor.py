"""Every trouble an operator can have is named, with a way out that leads out."""

import re
import secrets
from pathlib import Path

import pytest

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
    await run_sql(above, f'ALTER FUNCTION agentdb_audit.append OWNER TO "{database}"')
    assert await codes(store, neon) == ["audit_changeable"]
