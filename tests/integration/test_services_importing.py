"""Databases that were there before us: taken over as they are, once, and never by mistake."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import asyncpg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentdb_mcp.core.databases import Desired, Observed
from agentdb_mcp.core.errors import Denied, Invalid, Misconfigured, Missing
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.providers import external
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.services.importing import Importer
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Keys, Store, open_keys
from support.neon import Neon
from support.postgres import connected, own_database, run_sql
from support.servers import lets_in

SIMS_KEY = "5e" * 32


@pytest.fixture
def keys() -> Keys:
    """Ours, and the one that the host sealed with."""
    return open_keys(KeyText("0a" * 32), (KeyText(SIMS_KEY),), None)


@pytest.fixture
def importer(store: Store, neon: Neon) -> Importer:
    providers = {"neon": neon.provider}
    return new_importer(store, providers)


def new_importer(store: Store, providers: Mapping[str, Provider]) -> Importer:
    return Importer(
        store,
        Reconciler(store, providers),
        providers,
        adopt=external.adopt,
        external=external.NAME,
        trail=Trail(store, lambda: datetime.now(UTC)),
    )


@pytest.fixture
def theirs(admin_uri: ConnectionUri) -> Iterator[ConnectionUri]:
    """A user's own database, whose owner may make roles."""
    with own_database(admin_uri) as uri:
        yield uri


def in_sims_form(text: str) -> str:
    nonce = os.urandom(16)
    box = AESGCM(bytes.fromhex(SIMS_KEY)).encrypt(nonce, text.encode(), None)
    return f"{nonce.hex()}:{box[:-16].hex()}:{box[-16:].hex()}"


def line(**fields: object) -> str:
    return json.dumps({"user_id": "ada", **fields})


async def project_of_a_host(neon: Neon, name: str = "user-ada-global") -> str:
    """A project that a host made by itself, with a table in it."""
    created = await neon.api.create_project(
        {
            "name": name,
            "branch": {"name": "main", "database_name": "neondb", "role_name": "neondb_owner"},
        }
    )
    await neon.api.wait_for(created.project.id, created.operations)
    assert created.owner is not None
    await run_sql(created.owner, "CREATE TABLE kept AS SELECT 1 AS one")
    return created.project.id


async def test_a_project_of_a_host_becomes_ours_with_its_data_and_its_own_name_no_more(
    neon: Neon, importer: Importer, store: Store
) -> None:
    project_id = await project_of_a_host(neon)
    text = line(neon_project_id=project_id, ownership_type="platform", database_name="neondb", id="sim-1")
    taken = await importer.carry_out(importer.read(text))
    assert (taken.project_id, taken.desired, taken.observed) == (
        project_id,
        Desired.ACTIVE,
        Observed.ACTIVE,
    )
    (project,) = neon.projects()
    assert project.name == f"agentdb-global-{taken.id}"
    _, reader = await store.open_credentials(taken.id)
    assert await lets_in(reader)
    again = await importer.carry_out(importer.read(text))
    assert again == taken
    assert len(neon.projects()) == 1


async def test_a_project_that_is_not_there_is_not_made_anew(
    neon: Neon, importer: Importer, store: Store
) -> None:
    with pytest.raises(Missing) as caught:
        await importer.carry_out(importer.read(line(neon_project_id="typing-error-123")))
    assert caught.value.code == "database_not_found"
    assert neon.projects() == []
    assert await store.list_databases(None) == []


async def test_a_project_is_taken_over_for_one_database_only(neon: Neon, importer: Importer) -> None:
    project_id = await project_of_a_host(neon)
    await importer.carry_out(importer.read(line(neon_project_id=project_id)))
    with pytest.raises(Denied):
        await importer.carry_out(importer.read(line(neon_project_id=project_id, user_id="ben")))


async def test_a_database_in_the_same_place_is_not_replaced(
    neon: Neon, importer: Importer, store: Store
) -> None:
    lifecycle = LifecycleService(store, Reconciler(store, {"neon": neon.provider}), provider="neon")
    there = (await lifecycle.register_user(UserId("ada"))).database
    project_id = await project_of_a_host(neon)
    with pytest.raises(Denied) as caught:
        await importer.carry_out(importer.read(line(neon_project_id=project_id)))
    assert there.id in caught.value.message


async def test_a_users_own_database_gets_our_roles_and_is_never_touched_otherwise(
    importer: Importer, store: Store, theirs: ConnectionUri, admin_uri: ConnectionUri, neon: Neon
) -> None:
    await run_sql(admin_uri, f"ALTER ROLE {owner_of(theirs)} CREATEDB CREATEROLE")
    text = line(workspace_id="research", neon_connection_uri=in_sims_form(theirs.reveal()))
    taken = await importer.carry_out(importer.read(text))
    assert (taken.ownership_type, taken.workspace_id, taken.observed) == (
        "user",
        WorkspaceId("research"),
        Observed.ACTIVE,
    )
    writer, reader = await store.open_credentials(taken.id)
    async with connected(writer) as agent:
        await agent.execute("CREATE TABLE note (body text)")
        assert not await agent.fetchval("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user")
    assert await lets_in(reader)

    # Its owner's password changed: imported again, it works again.
    again = await importer.carry_out(importer.read(text))
    assert again.id == taken.id
    assert not await lets_in(reader)
    writer, reader = await store.open_credentials(taken.id)
    assert await lets_in(reader)

    lifecycle = LifecycleService(store, Reconciler(store, {"neon": neon.provider}), provider="neon")
    removal = await lifecycle.delete_workspace(WorkspaceId("research"), UserId("ada"))
    assert (removal.waiting, removal.recoverable) == (0, ())
    assert await lets_in(writer)
    assert neon.sent() == []
    await leave(theirs)


def owner_of(uri: ConnectionUri) -> str:
    return uri.reveal().split("//")[1].split(":")[0]


async def leave(uri: ConnectionUri) -> None:
    """As docs/how-to/import-databases.md tells the owner to."""
    async with connected(uri) as owner:
        for (role,) in await owner.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^[wr]_[0-9a-f]{32}$'"
        ):
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):  # another database's
                await owner.execute(f"GRANT {role} TO CURRENT_USER")
                await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{hunter2", "not JSON"),
        ('["hunter2"]', "not a JSON object"),
        (line(hunter="hunter2"), "Unknown: hunter"),
        (
            json.dumps({"user_id": "ada", "postgresql://u:hunter2@h/d": ""}),
            "Unknown: a name that no column has",
        ),
        (json.dumps({"neon_project_id": "hunter2"}), "user_id is missing"),
        (line(neon_project_id=7), "neon_project_id is not a text"),
        (line(ownership_type="nobody", neon_project_id="hunter2"), "neither platform nor user"),
        (line(ownership_type="platform"), "needs its neon_project_id"),
        (line(), "needs its neon_connection_uri"),
        (line(neon_connection_uri="mysql://u:hunter2@h/d"), "neither a postgresql:// URI nor sealed"),
        (line(neon_project_id="p", database_name="other"), "keeps its data in neondb"),
        (json.dumps({"user_id": "a\nb", "neon_project_id": "p"}), "user id is 1 to"),
    ],
)
async def test_a_line_that_cannot_be_read_is_refused_without_repeating_a_value(
    importer: Importer, text: str, word: str
) -> None:
    with pytest.raises(Invalid) as caught:
        importer.read(text)
    assert word in caught.value.message
    assert "hunter2" not in str(caught.value)


async def test_what_no_key_of_ours_opens_is_said_so(importer: Importer) -> None:
    sealed = in_sims_form("postgresql://u:p@h/d")
    other = ("0" if sealed[0] != "0" else "1") + sealed[1:]
    with pytest.raises(Misconfigured) as caught:
        importer.read(line(neon_connection_uri=other))
    assert caught.value.code == "ciphertext_invalid"


async def test_without_neon_a_project_is_refused(store: Store) -> None:
    alone = new_importer(store, {})
    with pytest.raises(Misconfigured) as caught:
        alone.read(line(neon_project_id="p"))
    assert "NEON_API_KEY" in caught.value.hint


async def test_an_owner_that_may_make_no_roles_is_told_so_and_the_next_try_finishes(
    importer: Importer, theirs: ConnectionUri, admin_uri: ConnectionUri, store: Store
) -> None:
    text = line(neon_connection_uri=theirs.reveal())
    with pytest.raises(Misconfigured) as caught:
        await importer.carry_out(importer.read(text))
    assert "may not make databases and roles" in caught.value.message
    assert caught.value.hint.endswith("ALTER ROLE … CREATEDB CREATEROLE.")
    (waiting,) = await store.list_databases(None)
    assert not waiting.has_credentials
    await run_sql(admin_uri, f"ALTER ROLE {owner_of(theirs)} CREATEDB CREATEROLE")
    assert (await importer.carry_out(importer.read(text))).id == waiting.id
    await leave(theirs)


async def test_a_renamed_project_is_found_by_its_id_when_its_roles_are_made_anew(
    neon: Neon, store: Store
) -> None:
    lifecycle = LifecycleService(store, Reconciler(store, {"neon": neon.provider}), provider="neon")
    made = (await lifecycle.register_user(UserId("ada"))).database
    await neon.api.rename_project(made.project_id or "", "my-favourite")
    mended = (await lifecycle.mend(made.id)).database
    assert mended.project_id == made.project_id
    assert [project.name for project in neon.projects()] == [f"agentdb-global-{made.id}"]
