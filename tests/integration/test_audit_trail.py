"""The trail in a real PostgreSQL: chained as core/audit.py says, and nobody who serves can change it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from agentdb_mcp.core.audit import INSTALLATION, Chain, Fault, Link, Record, Verifier
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store import Store
from support.postgres import connected, run_sql

NOW = datetime.now(UTC)
FULL = Record(
    tenant="ada",
    at=NOW - timedelta(seconds=5),
    actor="agent",
    tool="execute",
    outcome="sql_failed",
    workspace="wörk 🌍",
    kind="agent",
    database="d",
    statement_class="write",
    fingerprint=b"\x00\x01",
    digest=b"\xff" * 32,
    statement="SELECT " + "".join(map(chr, [*range(1, 300), 0x2028, 0xFFFD, 0xFFFF, 0x1F30D])) + "\\n/",
    reason="23505",
    rows=2**62,
    size=0,
    micros=-1,
    cost_micros=7,
    request=b"",
)
BARE = Record(tenant="ada", at=NOW - timedelta(seconds=4), actor="operator", tool="mend", outcome="ok")


def acts(count: int, tenant: str = "ada", **given: Any) -> list[Record]:
    values = {"at": NOW, "actor": "agent", "tool": "query", "outcome": "ok", **given}
    return [Record(tenant=tenant, micros=each, request=each.to_bytes(8), **values) for each in range(count)]


async def read(store: Store, tenant: str = "ada") -> tuple[Chain, list[Link]]:
    async with store.reading_audit() as reading:
        [(chain_id, chain)] = await reading.chains(tenant)
        return chain, [link async for link in reading.links(chain_id, tenant)]


def faults(chain: Chain, links: list[Link]) -> tuple[Fault, ...]:
    verifier = Verifier(chain)
    for link in links:
        verifier.follow(link)
    return verifier.end()


async def wrong(store: Store, tenant: str = "ada") -> list[Fault]:
    return list(faults(*await read(store, tenant)))


@pytest.fixture
def above_uri(admin_uri: ConnectionUri, control_uri: ConnectionUri) -> ConnectionUri:
    """The superuser, in this test's control plane."""
    return ConnectionUri(
        admin_uri.reveal().replace("/postgres?", f"/{control_uri.reveal().rpartition('/')[2]}?")
    )


@pytest.fixture
async def above(above_uri: ConnectionUri) -> AsyncIterator[Any]:
    async with connected(above_uri) as connection:
        await connection.execute("SET session_replication_role = replica")  # no trigger in the way
        yield connection


async def test_what_is_appended_is_read_back_as_it_was_and_its_hashes_are_ours(store: Store) -> None:
    assert await store.append_audit([FULL, BARE]) == 2
    chain, links = await read(store)
    assert [link.record for link in links] == [FULL, BARE]
    assert [link.seq for link in links] == [1, 2]
    assert (chain.seq, chain.hash) == (2, links[-1].hash)
    assert list(faults(chain, links)) == []


async def test_each_tenant_has_a_chain_of_its_own(store: Store) -> None:
    await store.append_audit([*acts(2), *acts(3, "ben"), *acts(1, INSTALLATION)])
    async with store.reading_audit() as reading:
        assert {chain.tenant: chain.seq for _, chain in await reading.chains()} == {
            "ada": 2,
            "ben": 3,
            INSTALLATION: 1,
        }
    assert [await wrong(store, tenant) for tenant in ("ada", "ben", INSTALLATION)] == [[], [], []]


async def test_two_servers_that_append_at_once_write_one_chain_without_a_gap(
    store: Store, keys: Any, control_uri: ConnectionUri
) -> None:
    other = await Store.open(control_uri, keys)
    tenants = ("ada", "ben")
    await asyncio.gather(
        *(
            each.append_audit([*acts(5, tenants[n % 2]), *acts(5, tenants[1 - n % 2])])
            for n in range(10)
            for each in (store, other)
        )
    )
    await other.close()
    for tenant in tenants:
        chain, links = await read(store, tenant)
        assert [link.seq for link in links] == list(range(1, 101))
        assert list(faults(chain, links)) == []


async def test_a_batch_that_may_have_arrived_is_not_written_twice(store: Store) -> None:
    await store.append_audit(acts(3))
    assert await store.append_audit(acts(5), again=True) == 2
    assert [link.record.micros for link in (await read(store))[1]] == [0, 1, 2, 3, 4]
    assert await wrong(store) == []


async def test_no_record_is_from_the_future(store: Store) -> None:
    await store.append_audit([Record("ada", NOW + timedelta(days=9), "agent", "query", "ok")])
    assert (await read(store))[1][0].record.at < NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE {record} SET outcome = 'ok' WHERE seq = 4", [4]),
        ("UPDATE {record} SET hash = '\\x00' WHERE seq = 4", [4, 5]),
        ("DELETE FROM {record} WHERE seq IN (4, 5)", [4]),
        ("DELETE FROM {record} WHERE seq > 7", [8]),
        ("DELETE FROM {record}", [1]),
        ("INSERT INTO {record} SELECT (t).* FROM (SELECT r FROM {record} r WHERE seq = 9) x(t)", None),
        ("UPDATE {record} SET seq = 15 - seq WHERE seq IN (7, 8)", None),
        ("UPDATE {record} SET seq = 11 WHERE seq = 3", [3, 11, 11]),
        ("UPDATE {chain} SET seq = 8", [9]),
        ("UPDATE {chain} SET hash = '\\x00'", [10]),
        ("UPDATE {chain} SET cut_hash = '\\x00'", [0, 1]),
        ("UPDATE {chain} SET tenant = 'ada2'; UPDATE {chain} SET tenant = 'ada'", []),
    ],
)
async def test_what_a_superuser_tampers_with_is_found_and_named(
    store: Store, above: Any, tampering: str, found: list[int] | None
) -> None:
    await store.append_audit(acts(10, outcome="statement_denied"))
    statement = tampering.format(record="agentdb_audit.record", chain="agentdb_audit.chain")
    if found is None:
        with pytest.raises(asyncpg.UniqueViolationError):
            await above.execute(statement)
        return
    await above.execute(statement)
    assert [fault.seq for fault in await wrong(store)] == found


async def test_a_record_that_belongs_to_no_chain_is_counted(store: Store, above: Any) -> None:
    await store.append_audit(acts(2))
    await above.execute("UPDATE agentdb_audit.record SET chain = 77 WHERE seq = 2")
    async with store.reading_audit() as reading:
        assert await reading.strays() == 1


FORBIDDEN = [
    "UPDATE agentdb_audit.record SET outcome = 'ok'",
    "UPDATE agentdb_audit.chain SET hash = '\\x00'",
    "DELETE FROM agentdb_audit.record",
    "DELETE FROM agentdb_audit.chain",
    "TRUNCATE agentdb_audit.record",
    "TRUNCATE agentdb_audit.chain",
    "INSERT INTO agentdb_audit.record SELECT * FROM agentdb_audit.record",
    "ALTER TABLE agentdb_audit.record DISABLE TRIGGER ALL",
    "ALTER TABLE agentdb_audit.record ADD COLUMN more text",
    "ALTER TABLE agentdb_audit.record OWNER TO CURRENT_USER",
    "ALTER TABLE agentdb_audit.record SET SCHEMA public",
    "ALTER SCHEMA agentdb_audit RENAME TO gone",
    "ALTER SCHEMA agentdb_audit OWNER TO CURRENT_USER",
    "DROP TRIGGER refuse ON agentdb_audit.record",
    "CREATE TRIGGER t AFTER INSERT ON agentdb_audit.record EXECUTE FUNCTION announce_database()",
    "CREATE RULE r AS ON INSERT TO agentdb_audit.record DO INSTEAD NOTHING",
    "DROP TABLE agentdb_audit.record",
    "DROP SCHEMA agentdb_audit CASCADE",
    "DROP OWNED BY agentdb_audit CASCADE",
    "REASSIGN OWNED BY agentdb_audit TO CURRENT_USER",
    (
        "CREATE OR REPLACE FUNCTION agentdb_audit.append(batch jsonb, again boolean) RETURNS bigint"
        " LANGUAGE sql AS 'SELECT 0'"
    ),
    "CREATE FUNCTION agentdb_audit.mine() RETURNS int LANGUAGE sql AS 'SELECT 0'",
    "SELECT agentdb_audit.hash_of(NULL, NULL)",
    "SET ROLE agentdb_audit",
    "GRANT agentdb_audit TO CURRENT_USER",
    "SET session_replication_role = replica",
    "DO $$ BEGIN LOCK TABLE agentdb_audit.record; END $$",
]


async def test_once_given_away_nothing_of_the_trail_can_be_changed_by_the_role_that_serves(
    store: Store, control_uri: ConnectionUri, above_uri: ConnectionUri
) -> None:
    await store.append_audit(acts(3))
    assert await store.audit_is_changeable()
    await store.give_audit_away(above_uri)
    assert not await store.audit_is_changeable()
    await store.give_audit_away(above_uri)
    async with connected(control_uri) as serving:
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await serving.execute(statement)
    assert not await store.audit_is_changeable()
    await store.append_audit(acts(2))
    assert [link.seq for link in (await read(store))[1]] == [1, 2, 3, 4, 5]
    assert await wrong(store) == []
    assert "\tquery" not in await store.dump()


async def test_before_that_its_owner_is_refused_too_unless_he_goes_out_of_his_way(
    store: Store, control_uri: ConnectionUri
) -> None:
    await store.append_audit(acts(3))
    async with connected(control_uri) as owner:
        for statement in FORBIDDEN[:6]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only added to"):
                await owner.execute(statement)
    assert await wrong(store) == []


async def test_pruning_takes_the_oldest_and_the_rest_still_verifies(store: Store, above: Any) -> None:
    old = NOW - timedelta(days=40)
    await store.append_audit([*acts(30, at=old), *acts(5)])
    asked = {"before": NOW - timedelta(days=30), "keep": 10**9, "most": 20, "why": "retention"}
    assert await store.prunable_audits(before=asked["before"], keep=10**9, limit=9) == ["ada"]
    assert [await store.prune_audit("ada", **asked) for _ in range(3)] == [20, 10, 0]
    assert await store.prunable_audits(before=asked["before"], keep=10**9, limit=9) == []
    chain, links = await read(store)
    assert (chain.cut_seq, chain.cut_why, links[0].seq) == (30, "retention", 31)
    assert list(faults(chain, links)) == []
    await above.execute("DELETE FROM agentdb_audit.record WHERE seq = 31")
    assert [fault.words for fault in await wrong(store)] == ["record 31 is missing"]


async def test_the_last_day_and_the_last_ten_thousand_stay_whoever_asks(store: Store) -> None:
    await store.append_audit([*acts(3, at=NOW - timedelta(days=2)), *acts(10_000)])
    asked = {"before": NOW + timedelta(days=1), "keep": 0, "most": 10**9, "why": "?"}
    assert await store.prune_audit("ada", **asked) == 3
    assert await store.prune_audit("ada", **asked) == 0
    assert await store.prune_audit("nobody", **asked) == 0


async def test_more_than_the_number_that_is_kept_goes(store: Store) -> None:
    await store.append_audit(acts(10_050))
    asked = {"before": NOW - timedelta(days=30), "keep": 10_000}
    assert await store.prunable_audits(**asked, limit=9) == ["ada"]
    assert await store.prune_audit("ada", **asked, most=1_000, why="number") == 50
    assert await wrong(store) == []


async def test_a_chain_that_lacks_a_record_is_not_pruned_which_would_hide_it(
    store: Store, above: Any
) -> None:
    await store.append_audit(acts(9, at=NOW - timedelta(days=2)))
    await above.execute("DELETE FROM agentdb_audit.record WHERE seq = 4")
    assert await store.prune_audit("ada", before=NOW, keep=10_000, most=100, why="?") == 0
    assert [fault.words for fault in await wrong(store)] == ["record 4 is missing"]


async def test_the_trail_outlives_the_user(store: Store, control_uri: ConnectionUri) -> None:
    await run_sql(control_uri, "INSERT INTO \"user\" (id) VALUES ('ada')")
    await store.append_audit(acts(2))
    await run_sql(control_uri, 'DELETE FROM "user"')
    assert (await read(store))[0].seq == 2
