"""What services write into the trail: refusals, failures and cancellations as well as what went well."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.audit import INSTALLATION, Record
from agentdb_mcp.core.changes import Statement
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError, Denied, Missing, SqlFailed, Unavailable
from agentdb_mcp.core.guard import Guard, Tool, fingerprint, load_policies
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.providers.server import ServerProvider
from agentdb_mcp.services.admission import Admission
from agentdb_mcp.services.audit import Mode, Trail
from agentdb_mcp.services.cursors import Cursors
from agentdb_mcp.services.fairness import Share, Turns
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.plans import Planner
from agentdb_mcp.services.queries import QueryService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.transactions import Transactions
from agentdb_mcp.services.writes import WriteService
from agentdb_mcp.store import Store
from support.waiting import until

PRINCIPAL = Principal(UserId("ada"), WorkspaceId("research"))
CANARY = "canary-5c1e"


class Reached:
    """Access that is settled."""

    def __init__(self, target: Target) -> None:
        self.target = target

    async def resolve(self, *_: object) -> Target:
        return self.target


def now() -> datetime:
    return datetime.now(UTC)


async def records(store: Store, tenant: str = "ada") -> list[Record]:
    async with store.reading_audit() as reading:
        return [
            link.record
            for chain_id, _ in await reading.chains(tenant)
            async for link in reading.links(chain_id, tenant)
        ]


Open = Callable[..., AbstractAsyncContextManager[tuple[QueryService, WriteService]]]


@pytest.fixture
def services(store: Store, target: Target, pools: Pools) -> Open:
    @asynccontextmanager
    async def opened(
        mode: Mode = "batched", ledger: Any = store, **given: Any
    ) -> AsyncIterator[tuple[QueryService, WriteService]]:
        trail = Trail(ledger, now, mode=mode, fingerprint=fingerprint, **given)
        policies = load_policies(assets.folder("policies"))
        runner, turns = Runner(pools), Turns(Share())
        admission: Any = Admission(
            Reached(target),  # pyright: ignore[reportArgumentType]
            Guard(),
            policies,
            Caps(rows=2, seconds=20),
            trail=trail,
            planner=Planner(runner),
        )
        async with trail.writing():
            transactions = Transactions(Reached(target), runner, turns, now, trail=trail)  # pyright: ignore[reportArgumentType]
            yield (
                QueryService(admission, runner, turns, Cursors(now), transactions),
                WriteService(admission, runner, turns, transactions),
            )

    return opened


def change(writes: WriteService, tool: Tool, sql: str, params: Any = (), **more: Any) -> Any:
    return writes.change(PRINCIPAL, Kind.AGENT, tool, [Statement(sql, params)], **more)


async def failing(work: Any) -> AgentDbError:
    with pytest.raises(AgentDbError) as caught:
        await work
    return caught.value


async def test_every_outcome_is_written_down_and_no_value_ever(
    store: Store, services: Open, target: Target
) -> None:
    agent = (PRINCIPAL, Kind.AGENT)
    async with services() as (queries, writes):
        await change(writes, "execute_ddl", "CREATE TABLE audited (id int PRIMARY KEY, word text)")
        await change(
            writes, "execute", f"INSERT INTO audited SELECT n, '{CANARY}' FROM generate_series(1, 5) n"
        )
        await change(writes, "execute", "UPDATE audited SET word = $1 WHERE id > 2", [CANARY])
        await change(writes, "execute", f"DELETE FROM audited WHERE word <> '{CANARY}!'", dry_run=True)
        first = await queries.run(*agent, f"SELECT word FROM audited WHERE word <> '{CANARY}?'")
        await queries.run(*agent, "SELECT word FROM audited WHERE word <> 'another'")
        await queries.resume(*agent, first.next_cursor or "")
        assert isinstance(
            await failing(change(writes, "execute", f"INSERT INTO audited VALUES (1, '{CANARY}')")),
            SqlFailed,
        )
        assert isinstance(await failing(queries.run(*agent, f"SELECT pg_read_file('{CANARY}')")), Denied)
        await failing(queries.run(*agent, f"SELEC '{CANARY}'"))
        await failing(queries.resume(*agent, CANARY))
        asked = asyncio.create_task(
            change(writes, "execute", f"UPDATE audited SET word = '{CANARY}' WHERE id = 1")
        )
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
    found = await records(store)
    assert [(each.tool, each.statement_class, each.outcome, each.reason, each.rows) for each in found] == [
        ("execute_ddl", "ddl", "ok", None, 0),
        ("execute", "write", "ok", None, 5),
        ("execute", "write", "ok", None, 3),
        ("execute dry_run", "write", "ok", None, 5),
        ("query", "read", "ok", None, 2),
        ("query", "read", "ok", None, 2),
        ("query cursor", "read", "ok", None, 2),
        ("execute", "write", "sql_failed", "23505", None),
        ("query", None, "statement_denied", "function.refused", None),
        ("query", None, "sql_syntax", None, None),
        ("query cursor", None, "cursor_expired", None, None),
        ("execute", "write", "cancelled", None, None),
    ]
    for each in found:
        assert (each.actor, each.tenant, each.workspace, each.kind) == ("agent", "ada", "research", "agent")
        assert each.micros is not None
        assert (each.digest is None) == (each.outcome == "cursor_expired")
    assert {each.database for each in found if each.digest} == {target.database_id}
    assert found[4].fingerprint == found[5].fingerprint == found[6].fingerprint
    assert found[4].digest != found[5].digest
    assert found[4].digest == found[6].digest
    assert (found[4].size or 0) > 10
    assert len({each.request for each in found}) == len(found)
    assert CANARY not in await store.dump()
    assert "secret" not in await store.dump()


async def test_a_call_of_several_statements_is_one_record_and_a_replay_says_that_it_is_one(
    store: Store, services: Open
) -> None:
    parts = [
        Statement("SELECT 1"),
        Statement("CREATE TABLE several (id int)"),
        Statement("INSERT INTO several VALUES (1)"),
    ]
    async with services() as (_, writes):
        for _ in range(2):
            await writes.change(PRINCIPAL, Kind.AGENT, "execute_ddl", parts, key="once")
        refused = await failing(
            writes.change(PRINCIPAL, Kind.AGENT, "execute", [*parts[2:], Statement("DROP TABLE several")])
        )
    assert refused.statement == 2
    found = await records(store)
    assert [(each.tool, each.statement_class, each.outcome, each.reason, each.rows) for each in found] == [
        ("execute_ddl", "ddl", "ok", None, 2),
        ("execute_ddl", "ddl", "ok", "replayed", 2),
        ("execute", None, "statement_denied", "tool.mismatch", None),
    ]
    assert found[0].fingerprint == found[1].fingerprint


async def test_the_text_of_statements_is_kept_where_the_operator_wants_it(
    store: Store, services: Open
) -> None:
    async with services(full_text=True) as (queries, _):
        await queries.run(PRINCIPAL, Kind.AGENT, f"SELECT '{CANARY}'")
        await failing(queries.run(PRINCIPAL, Kind.AGENT, "SELECT '\0\ud800'"))
    assert [each.statement for each in await records(store)] == [f"SELECT '{CANARY}'", "SELECT '\ufffd?'"]


async def test_where_the_trail_is_off_nothing_is_written_down(store: Store, services: Open) -> None:
    async with services("off") as (queries, _):
        await queries.run(PRINCIPAL, Kind.AGENT, "SELECT 1")
    assert await records(store) == []


class Away:
    """A store whose control plane is away, until it is told otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = True
        self.answers_are_lost = False

    async def append_audit(self, records: Any, *, again: bool = False) -> int:
        if self.away:
            raise Unavailable("control_plane_unavailable", "away")
        written = await self._store.append_audit(records, again=again)
        if self.answers_are_lost:
            raise Unavailable("control_plane_unavailable", "lost")
        return written


async def test_where_the_trail_is_strict_a_change_waits_for_its_intent_and_a_read_does_not(
    store: Store, services: Open
) -> None:
    ledger = Away(store)
    async with services("strict", ledger) as (queries, writes):
        await queries.run(PRINCIPAL, Kind.AGENT, "SELECT 1")
        error = await failing(change(writes, "execute_ddl", "CREATE TABLE unwritten (id int)"))
        assert error.code == "control_plane_unavailable"
        ledger.away = False
        await change(writes, "execute_ddl", "CREATE TABLE written (id int)")
        tables = await queries.run(
            PRINCIPAL, Kind.AGENT, "SELECT relname FROM pg_class WHERE relname LIKE '%written'"
        )
    assert tables.rows == (("written",),)
    found = await records(store)
    assert [(each.tool, each.outcome) for each in found] == [
        ("query", "ok"),
        ("execute_ddl", "control_plane_unavailable"),
        ("execute_ddl", "begun"),
        ("execute_ddl", "ok"),
        ("query", "ok"),
    ]
    assert found[2].request == found[3].request
    assert found[2].digest == found[3].digest


async def test_a_batch_whose_answer_was_lost_is_not_written_twice(store: Store, services: Open) -> None:
    ledger = Away(store)
    ledger.away, ledger.answers_are_lost = False, True
    async with services(ledger=ledger) as (queries, _):
        await queries.run(PRINCIPAL, Kind.AGENT, "SELECT 1")

        async def written() -> bool:
            return bool(await records(store))

        await until(written)
        ledger.answers_are_lost = False
    assert [each.outcome for each in await records(store)] == ["ok"]


async def test_lifecycle_acts_are_written_down_with_whose_they_are(
    store: Store, admin_uri: ConnectionUri
) -> None:
    trail = Trail(store, now)
    reconciler = Reconciler(store, {"local": ServerProvider(admin_uri, name="local")})
    lifecycle = LifecycleService(store, reconciler, provider="local", trail=trail)
    async with trail.writing():
        await lifecycle.register_user(UserId("ada"), plan="pro")
        receipt = await lifecycle.create_workspace(WorkspaceId("research"), UserId("ada"))
        await lifecycle.pause(receipt.database.id)
        with pytest.raises(Missing):
            await lifecycle.mend(DatabaseId("nowhere"))
        await failing(lifecycle.register_user(UserId("b\0" * 300)))
        await lifecycle.register_user(UserId("ben"))
        await lifecycle.transfer_workspace(WorkspaceId("research"), UserId("ada"), UserId("ben"))
        await lifecycle.delete_user(UserId("ada"))
    found = await records(store)
    assert {each.actor for each in found} == {"operator"}
    assert [(each.tool, each.workspace, each.outcome, each.reason) for each in found] == [
        ("register_user", None, "ok", "pro"),
        ("create_workspace", "research", "ok", None),
        ("pause", "research", "ok", "operator"),
        ("transfer_workspace", "research", "ok", "ben"),
        ("delete_user", None, "ok", None),
    ]
    assert found[2].database == receipt.database.id
    [unknown] = await records(store, INSTALLATION)
    assert (unknown.tool, unknown.database, unknown.outcome) == ("mend", "nowhere", "database_not_found")
    [refused] = await records(store, "b\ufffd" * 100)
    assert refused.outcome == "bad_argument"
    assert "postgresql://" not in await store.dump()
