"""Work on a database is taken by one worker at a time, and what it records is believed only from that one."""

import asyncio
import itertools

from agentdb_mcp.core.databases import Desired, Observed, plan
from agentdb_mcp.core.ids import DatabaseId, UserId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Store
from support.lives import ADA, RESEARCH, active_agent, active_global, found, make, provisioned
from support.postgres import connected, run_sql

BOTH = (False, True)
TRUE_STATES = [
    (desired, observed, made, credentials, kept)
    for desired, observed, made, credentials, kept in itertools.product(Desired, Observed, BOTH, BOTH, BOTH)
    # A tombstone has no credentials, and neither has a database that was seen to be gone. What was never made
    # has none either, and was never seen; only a tombstone is kept.
    if not (credentials and Desired.DELETED in (desired, observed.value))
    and (made or not (credentials or kept or observed in {Observed.ACTIVE, Observed.PAUSED}))
    and (desired is Desired.DELETED or not kept)
]


async def wanted(store: Store, user: str = "ada") -> DatabaseId:
    return (await store.register_user(UserId(user), plan=None, provider="local")).database.id


async def expire(uri: ConnectionUri) -> None:
    await run_sql(uri, "UPDATE managed_database SET lease_expires_at = now() - interval '1 second'")


async def test_exactly_what_the_plan_has_a_step_for_is_claimed(
    store: Store, control_uri: ConnectionUri
) -> None:
    for number, state in enumerate(TRUE_STATES):
        await check_claims(store, control_uri, await wanted(store, f"user-{number}"), state)
        await run_sql(control_uri, "UPDATE managed_database SET next_attempt_at = 'infinity'")


async def check_claims(
    store: Store,
    control_uri: ConnectionUri,
    database_id: DatabaseId,
    state: tuple[Desired, Observed, bool, bool, bool],
) -> None:
    desired, observed, made, credentials, kept = state
    if made:
        await make(store, database_id)
    if not credentials:
        await store.forget_credentials(database_id)
    if desired is Desired.DELETED:
        await run_sql(control_uri, f"DELETE FROM managed_database WHERE id = '{database_id}'")
    if desired is Desired.PAUSED:
        await store.pause(database_id)
    await run_sql(
        control_uri,
        f"UPDATE managed_database SET observed_state = '{observed}' WHERE id = '{database_id}'",
        f"UPDATE database_tombstone SET protected = {kept} WHERE id = '{database_id}'",
    )
    step = plan(desired, observed, made=made, has_credentials=credentials, kept=kept)
    claims = await store.claim_due(limit=10, seconds=60)
    assert [database.id for database, _ in claims] == ([] if step is None else [database_id])
    # After the claim nothing is known any more, and the step is still the same.
    for database, _ in claims:
        assert database.observed is Observed.UNKNOWN
        assert database.kept is kept
        assert (
            plan(database.desired, database.observed, made=made, has_credentials=credentials, kept=kept)
            is step
        )


async def test_a_claimed_database_is_not_claimed_again(store: Store) -> None:
    database_id = await wanted(store)
    (claim,) = await store.claim_due(limit=10, seconds=60)
    assert claim[0].id == database_id
    assert await store.claim_due(limit=10, seconds=60) == []
    assert await store.claim_one(database_id, seconds=60) is None


async def test_many_workers_at_once_share_the_work_without_overlap(store: Store) -> None:
    ids = {await wanted(store, f"user-{number}") for number in range(12)}
    claims = await asyncio.gather(*(store.claim_due(limit=3, seconds=60) for _ in range(8)))
    claimed = [database.id for part in claims for database, _ in part]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= ids
    while rest := await store.claim_due(limit=3, seconds=60):
        claimed += [database.id for database, _ in rest]
    assert sorted(claimed) == sorted(ids)


async def test_no_more_than_asked_for_is_claimed_and_the_longest_due_comes_first(
    store: Store, control_uri: ConnectionUri
) -> None:
    ids = [await wanted(store, f"user-{number}") for number in range(3)]
    await run_sql(
        control_uri,
        f"UPDATE managed_database SET next_attempt_at = now() - interval '1 hour' WHERE id = '{ids[2]}'",
    )
    ((database, _),) = await store.claim_due(limit=1, seconds=60)
    assert database.id == ids[2]


async def test_a_long_pass_takes_up_what_is_new_and_leaves_what_fails_again_to_the_next(
    store: Store, control_uri: ConnectionUri
) -> None:
    failed = await wanted(store, "failed")
    began = await store.now()
    await run_sql(
        control_uri,
        f"UPDATE managed_database SET attempts = 1, next_attempt_at = clock_timestamp() WHERE id = '{failed}'",
    )
    new = await wanted(store, "new")
    ((database, _),) = await store.claim_due(limit=9, seconds=60, due_by=began)
    assert database.id == new
    ((database, _),) = await store.claim_due(limit=9, seconds=60, due_by=await store.now())
    assert database.id == failed


async def test_a_worker_that_vanished_is_replaced_when_its_lease_ran_out(
    store: Store, control_uri: ConnectionUri
) -> None:
    database_id = await wanted(store)
    vanished = await store.claim_one(database_id, seconds=60)
    await expire(control_uri)
    successor = await store.claim_one(database_id, seconds=60)
    assert vanished is not None
    assert successor is not None
    assert successor[1].token != vanished[1].token
    before = await found(store, database_id)
    assert not await store.record_provisioned(database_id, provisioned(), vanished[1])
    assert not await store.record_observed(database_id, Observed.ACTIVE, vanished[1])
    assert not await store.record_failure(database_id, "internal", vanished[1])
    assert not await store.release(database_id, vanished[1])
    assert await found(store, database_id) == before
    assert await store.record_provisioned(database_id, provisioned(), successor[1])


async def test_a_worker_that_is_late_but_alone_is_believed(store: Store, control_uri: ConnectionUri) -> None:
    database_id = await wanted(store)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    await expire(control_uri)
    assert await store.record_provisioned(database_id, provisioned(), claim[1])


async def test_what_was_made_is_recorded_whole(store: Store) -> None:
    database_id = await wanted(store)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    await store.record_failure(database_id, "provider_unavailable", claim[1])
    await make(store, database_id, provisioned("d7"))
    database = await found(store, database_id)
    assert (database.desired, database.observed) == (Desired.ACTIVE, Observed.ACTIVE)
    assert (database.project_id, database.database_name) == ("project-d7", "d7")
    assert database.has_credentials
    assert (database.attempts, database.last_error) == (0, None)
    assert await store.claim_due(limit=10, seconds=60) == []


async def test_a_pause_that_came_while_it_was_made_is_the_next_step(store: Store) -> None:
    database_id = await wanted(store)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    await store.pause(database_id)
    assert await store.record_provisioned(database_id, provisioned(), claim[1])
    ((database, lease),) = await store.claim_due(limit=10, seconds=60)
    assert database.desired is Desired.PAUSED
    assert await store.record_observed(database_id, Observed.PAUSED, lease)
    assert (await found(store, database_id)).observed is Observed.PAUSED


async def test_a_database_deleted_while_it_was_made_is_remembered_by_its_handle_only(
    store: Store, control_uri: ConnectionUri
) -> None:
    await store.register_user(ADA, plan=None, provider="local")
    database_id = (await store.create_workspace(RESEARCH, ADA, name="", provider="local")).id
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    assert await store.delete_workspace(RESEARCH, ADA) == [database_id]
    assert await store.claim_one(database_id, seconds=60) is None
    assert await store.record_provisioned(database_id, provisioned("d9"), claim[1])
    tombstone = await found(store, database_id)
    assert (tombstone.desired, tombstone.project_id) == (Desired.DELETED, "project-d9")
    assert not tombstone.has_credentials
    async with connected(control_uri) as connection:
        assert await connection.fetchval("SELECT count(neon_connection_uri) FROM managed_database") == 0
    deletion = await store.claim_one(database_id, seconds=60)
    assert deletion is not None
    assert await store.record_observed(database_id, Observed.DELETED, deletion[1])
    assert (await found(store, database_id)).observed is Observed.DELETED


async def test_a_database_seen_to_be_gone_has_no_credentials_any_more_and_is_made_anew(store: Store) -> None:
    database_id = (await active_agent(store)).id
    await store.pause(database_id)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    await store.record_observed(database_id, Observed.DELETED, claim[1])
    database = await found(store, database_id)
    assert not database.has_credentials
    await make(store, database_id)
    assert (await found(store, database_id)).has_credentials


async def test_a_failure_is_written_down_and_tried_again_later_and_later(
    store: Store, control_uri: ConnectionUri
) -> None:
    database_id = await wanted(store)
    waits: list[float] = []
    for attempt in range(1, 13):
        claim = await store.claim_one(database_id, seconds=60)
        assert claim is not None
        assert await store.record_failure(database_id, "provider_unavailable", claim[1])
        database = await found(store, database_id)
        assert (database.attempts, database.last_error) == (attempt, "provider_unavailable")
        assert await store.claim_due(limit=10, seconds=60) == []
        async with connected(control_uri) as connection:
            waits.append(
                await connection.fetchval(
                    "SELECT extract(epoch FROM next_attempt_at - updated_at AT TIME ZONE 'UTC')::float FROM managed_database"
                )
            )
    for attempt, wait in enumerate(waits):
        longest = min(300, 2**attempt)
        assert longest / 2 <= wait <= longest


async def test_a_change_of_what_is_wanted_is_due_at_once(store: Store) -> None:
    database_id = (await active_global(store)).id
    assert await store.pause(database_id)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    await store.record_failure(database_id, "provider_unavailable", claim[1])
    assert await store.claim_due(limit=10, seconds=60) == []
    assert await store.resume(database_id)
    assert len(await store.claim_due(limit=10, seconds=60)) == 1


async def test_a_lease_given_back_can_be_taken_at_once(store: Store) -> None:
    database_id = await wanted(store)
    claim = await store.claim_one(database_id, seconds=60)
    assert claim is not None
    assert await store.release(database_id, claim[1])
    assert await store.claim_one(database_id, seconds=60) is not None


async def test_what_is_wanted_gone_stays_so(store: Store) -> None:
    database_id = (await active_global(store)).id
    assert await store.delete_user(ADA) == [database_id]
    for change in (store.pause, store.resume):
        assert not await change(database_id)
    assert (await found(store, database_id)).desired is Desired.DELETED


async def test_a_database_that_never_was_cannot_be_worked_on(store: Store) -> None:
    nothing = DatabaseId("00000000-0000-0000-0000-000000000000")
    assert await store.find_by_id(nothing) is None
    assert await store.claim_one(nothing, seconds=60) is None
    assert not await store.pause(nothing)
