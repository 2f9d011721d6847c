"""Schema versions: a change has a number and can be told, whoever made it and whichever server looks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.shapes import ColumnChange, TableChange
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.shapes import Shapes
from agentdb_mcp.services.versions import Versions
from agentdb_mcp.store import Changes, Store
from agentdb_mcp.store.schemas import KEPT_VERSIONS
from support.lives import RESEARCH, active_agent
from support.postgres import connected, run_sql
from support.statements import ddl, write
from support.waiting import until
from support.wire import through, watched

KILL_LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
)


class Agent:
    """One server's view of one database."""

    def __init__(self, store: Store, changes: Changes, pools: Pools, target: Target) -> None:
        self.changes, self.target = changes, target
        self._runner = Runner(pools)
        self.versions = Versions(store, changes, Shapes(self._runner))

    async def does(self, *statements: str) -> int | None:
        for statement in statements:
            await self._runner.run(self.target, ddl(statement), [], Caps())
        return await self.looks()

    async def writes(self, statement: str) -> None:
        await self._runner.run(self.target, write(statement), [], Caps())

    async def looks(self) -> int | None:
        return await self.versions.look(self.target)

    async def knows(self) -> int | None:
        return await self.versions.known(self.target)

    async def told(self, since: int) -> list[tuple[TableChange, ...] | None]:
        history = await self.versions.since(self.target, since)
        return [change.tables for change in history.changes]


@asynccontextmanager
async def serving(store: Store, pools: Pools, target: Target) -> AsyncIterator[Agent]:
    async with store.changes() as changes:
        await until(lambda: asyncio.sleep(0, changes.version is not None))
        yield Agent(store, changes, pools, target)


@pytest.fixture
async def agent(store: Store, pools: Pools, target: Target) -> AsyncIterator[Agent]:
    """On an empty database, whose row and versions are this test's own."""
    row = await active_agent(store)
    async with serving(store, pools, replace(target, database_id=row.id)) as agent:
        await agent.does("DROP SCHEMA IF EXISTS shop CASCADE", "CREATE SCHEMA shop")
        yield agent


async def test_a_schema_counts_its_versions_from_the_first_change(agent: Agent) -> None:
    assert await agent.knows() == 0
    assert await agent.does("CREATE TABLE shop.item (id int)") == 1
    assert await agent.looks() == 1
    assert await agent.knows() == 1
    assert await agent.does("CREATE VIEW shop.items AS SELECT id FROM shop.item") == 2


async def test_what_changed_is_told_version_by_version_through_renames(agent: Agent) -> None:
    await agent.does("CREATE TABLE shop.item (id int, mail text, size int)")
    await agent.does(
        "ALTER TABLE shop.item ADD price numeric(10,2)",
        "ALTER TABLE shop.item RENAME mail TO email",
        "ALTER TABLE shop.item DROP size",
        "ALTER TABLE shop.item ALTER id TYPE bigint",
    )
    await agent.does("ALTER TABLE shop.item RENAME TO thing")
    await agent.does("CREATE INDEX ON shop.thing (id)")
    await agent.does("DROP TABLE shop.thing")
    columns = (
        ColumnChange("size", "dropped", "integer"),
        ColumnChange("id", "retyped", "bigint", "integer"),
        ColumnChange("email", "renamed", "text", "mail"),
        ColumnChange("price", "added", "numeric(10,2)"),
    )
    assert await agent.told(0) == [
        (TableChange("shop", "item", "table", "added"),),
        (TableChange("shop", "item", "table", "changed", None, columns),),
        (TableChange("shop", "thing", "table", "renamed", "shop.item"),),
        (TableChange("shop", "thing", "table", "changed"),),
        (TableChange("shop", "thing", "table", "dropped"),),
    ]
    assert await agent.told(4) == [(TableChange("shop", "thing", "table", "dropped"),)]
    assert await agent.told(5) == []


DEFINITIONS = (
    "COMMENT ON COLUMN shop.item.id IS 'a number'",
    "COMMENT ON TABLE shop.item IS 'things'",
    "ALTER TABLE shop.item ALTER id SET DEFAULT 7",
    "ALTER TABLE shop.item ALTER id SET NOT NULL",
    "ALTER TABLE shop.item ADD CHECK (id > 0)",
    "ALTER TABLE shop.item ADD PRIMARY KEY (id)",
    "ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON shop.item USING (id > 1)",
    "CREATE INDEX ON shop.item (id)",
    "CREATE TABLE shop.part PARTITION OF shop.whole DEFAULT",
    "CREATE OR REPLACE VIEW shop.seen AS SELECT id + 1 AS id FROM shop.item",
)


async def test_every_definition_counts(agent: Agent) -> None:
    await agent.does(
        "CREATE TABLE shop.item (id int)",
        "CREATE VIEW shop.seen AS SELECT id FROM shop.item",
        "CREATE TABLE shop.whole (id int) PARTITION BY LIST (id)",
    )
    for version, definition in enumerate(DEFINITIONS, 2):
        assert await agent.does(definition) == version, definition


async def test_rows_and_their_upkeep_count_nothing(agent: Agent) -> None:
    before = await agent.does("CREATE TABLE shop.item (id int PRIMARY KEY)")
    await agent.writes("INSERT INTO shop.item SELECT generate_series(1, 100)")
    assert await agent.does("ANALYZE shop.item", "REINDEX TABLE shop.item") == before
    await agent.writes("TRUNCATE shop.item")
    assert await agent.looks() == before


async def test_what_a_function_defines_is_noticed_by_the_next_look(agent: Agent) -> None:
    await agent.does(
        "CREATE FUNCTION shop.make() RETURNS void LANGUAGE sql AS 'CREATE TABLE shop.made (id int)'"
    )
    await agent.writes("SELECT shop.make()")
    assert await agent.knows() == 0
    assert await agent.looks() == 1


async def test_a_look_at_what_is_known_takes_one_round_trip_and_knowing_takes_none(agent: Agent) -> None:
    await agent.does("CREATE TABLE shop.item (id int)")
    async with watched(agent.target.reader) as (line, port):
        far = replace(agent.target, reader=through(agent.target.reader, port))
        assert await agent.versions.look(far) == 1
        line.clear()
        assert await agent.versions.look(far) == 1
        assert line.round_trips == 1
        assert await agent.versions.known(far) == 1
        assert line.round_trips == 1


async def test_another_server_hears_of_a_change_at_once(store: Store, pools: Pools, agent: Agent) -> None:
    async with serving(store, pools, agent.target) as other:
        assert await other.knows() == 0
        count = other.versions.count
        await agent.does("CREATE TABLE shop.item (id int)")
        async with asyncio.timeout(20):
            await other.versions.wait(count)
        assert await other.knows() == 1


async def test_servers_that_look_at_the_same_time_record_a_change_once(
    store: Store, pools: Pools, agent: Agent
) -> None:
    async with serving(store, pools, agent.target) as other:
        await agent.does("CREATE TABLE shop.item (id int)")
        await agent.writes("DO $$ BEGIN EXECUTE 'CREATE TABLE shop.two (id int)'; END $$")
        assert await asyncio.gather(*(each.looks() for each in (agent, other) * 3)) == [2] * 6
        assert await agent.told(1) == [(TableChange("shop", "two", "table", "added"),)]


async def test_what_was_missed_while_nothing_was_heard_is_known_afterwards(
    store: Store, pools: Pools, agent: Agent, control_uri: ConnectionUri
) -> None:
    await agent.does("CREATE TABLE shop.item (id int)")
    before = agent.changes.version
    await run_sql(control_uri, KILL_LISTENERS, "UPDATE schema_version SET version = 9")
    await until(lambda: asyncio.sleep(0, agent.changes.version not in (None, before)))
    assert await agent.knows() == 9


async def test_no_version_is_known_while_changes_are_not_heard(
    store: Store, pools: Pools, agent: Agent
) -> None:
    deaf = Agent(store, Changes(None), pools, agent.target)  # pyright: ignore[reportArgumentType] - never listens
    assert await deaf.knows() is None
    assert await deaf.does("CREATE TABLE shop.item (id int)") == 1


async def test_a_control_plane_that_fails_costs_the_version_and_no_more(
    agent: Agent, control_uri: ConnectionUri
) -> None:
    await run_sql(control_uri, "ALTER TABLE schema_version RENAME TO away")
    assert await agent.does("CREATE TABLE shop.item (id int)") is None


async def test_a_version_to_come_is_refused(agent: Agent) -> None:
    with pytest.raises(Invalid) as caught:
        await agent.versions.since(agent.target, 1)
    assert "the latest is 0" in caught.value.message


async def test_old_versions_are_forgotten_and_that_is_said(
    store: Store, agent: Agent, control_uri: ConnectionUri
) -> None:
    await agent.does("CREATE TABLE shop.item (id int)")
    await run_sql(
        control_uri,
        f"INSERT INTO schema_change SELECT database_id, n FROM schema_version, generate_series(2, {KEPT_VERSIONS}) n",
        f"UPDATE schema_version SET version = {KEPT_VERSIONS}",
    )
    await until(lambda: _knows(agent, KEPT_VERSIONS))
    assert await agent.does("ALTER TABLE shop.item ADD b int") == KEPT_VERSIONS + 1
    history = await agent.versions.since(agent.target, 0)
    assert (len(history.changes), history.complete) == (KEPT_VERSIONS, False)
    assert history.changes[0].tables is None
    assert (await agent.versions.since(agent.target, 1)).complete


async def _knows(agent: Agent, version: int) -> bool:
    return await agent.knows() == version


async def test_versions_go_with_their_database(
    store: Store, agent: Agent, control_uri: ConnectionUri
) -> None:
    await agent.does("CREATE TABLE shop.item (id int)")
    await run_sql(control_uri, f"DELETE FROM workspace WHERE id = '{RESEARCH}'")
    async with connected(control_uri) as connection:
        assert await connection.fetchval("SELECT count(*) FROM schema_version") == 0
        assert await connection.fetchval("SELECT count(*) FROM schema_change") == 0
    assert await agent.does("CREATE TABLE shop.late (id int)") is None
