"""Changes with a key, of several statements, and rehearsed, as an agent's host meets them; and killed servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.commands import Cli
from support.hosts import Host
from support.waiting import until

ADD = "INSERT INTO entry (account, what) VALUES (1, $1) RETURNING id, what"
TABLES = [
    {"sql": "CREATE TABLE account (id int PRIMARY KEY, cents int NOT NULL CHECK (cents >= 0))"},
    {"sql": "INSERT INTO account VALUES ($1, $2), (2, 0)", "params": [1, 100]},
    {
        "sql": "CREATE TABLE entry (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text,"
        " account int REFERENCES account DEFERRABLE INITIALLY DEFERRED)"
    },
]


def test_changes_from_their_rehearsal_to_their_retry(
    home: Path, workspace: str, agentdb: Cli, user: str
) -> None:
    other = f"{workspace}-b"
    assert agentdb("workspace", "create", other, "--user", user).returncode == 0
    with Host(home, "--workspace", workspace) as host, Host(home, "--workspace", other) as stranger:
        # A migration, rows included, is rehearsed, then made in one call.
        dry = host.call("execute_ddl", statements=TABLES, dry_run=True)
        assert dry["content"][0]["text"].startswith("agent: dry run, undone: 3 statements\n")
        assert host.error("describe_table", table="account")["code"] == "table_not_found"
        made = host.call("execute_ddl", statements=TABLES, idempotency_key="tables")
        assert made["structuredContent"]["command"] == "CREATE TABLE; INSERT 0 2; CREATE TABLE"
        again = host.call("execute_ddl", statements=TABLES, idempotency_key="tables")
        assert again["structuredContent"]["replayed"] is True
        assert again["structuredContent"]["results"] == made["structuredContent"]["results"]

        # All or nothing, the failing one named; a statement that only reads sees those before it.
        take, give = (
            {
                "sql": f"UPDATE account SET cents = cents {sign} $1 WHERE id = {account} RETURNING cents",
                "params": [60],
            }
            for sign, account in (("-", 1), ("+", 2))
        )
        read = {"sql": "SELECT sum(cents) FROM account"}
        paid = host.call("execute", statements=[take, give, read], idempotency_key="pay")
        assert [each["rows"] for each in paid["structuredContent"]["results"]] == [[[40]], [[60]], [[100]]]
        assert paid["content"][0]["text"].startswith(
            "agent: 3 statements, all done\n1: 1 row affected\n<data "
        )
        short = host.error("execute", statements=[give, take], idempotency_key="pay again")
        assert (short["statement"], short["sqlstate"], short["constraint"]) == (
            2,
            "23514",
            "account_cents_check",
        )
        assert host.rows("SELECT cents FROM account ORDER BY id") == [[40], [60]]

        # A rehearsal says what would fail, and shows rows as they are and would be.
        would = host.error("execute", sql="UPDATE account SET cents = -1 WHERE id = 1", dry_run=True)
        assert "nothing of it was kept" in would["dry_run"]
        dry = host.call("execute", sql="DELETE FROM account WHERE id = 2", dry_run=True)
        (touched,) = dry["structuredContent"]["touched"]
        assert touched["sample"] == {"columns": ["id", "cents"], "before": [["2", "60"]], "after": []}
        assert '- ["2","60"]' in dry["content"][0]["text"]

        # A key is one call's, one database's and one workspace's.
        for arguments in ({"sql": "SELECT public.f()"}, {"sql": ADD, "params": [1]}):
            conflict = host.error("execute", idempotency_key="pay", **arguments)
            assert conflict["code"] in {"idempotency_conflict", "sql_failed"}
        assert (
            host.error("execute", statements=[take], idempotency_key="pay")["code"] == "idempotency_conflict"
        )
        stranger.call("execute_ddl", statements=TABLES)
        first = stranger.call("execute", statements=[take, give, read], idempotency_key="pay")
        assert "replayed" not in first["structuredContent"]

        # Where the keys are kept is nobody's to see or touch.
        for tool, sql in (
            ("query", "SELECT * FROM agentdb.call"),
            ("execute", "DELETE FROM agentdb.call"),
            ("execute_ddl", "DROP SCHEMA agentdb CASCADE"),
            ("execute_ddl", "CREATE TABLE agentdb.mine (id int)"),
        ):
            assert host.error(tool, sql=sql)["code"] == "statement_denied"
        listed = host.call("list_tables")["structuredContent"]["tables"]
        assert {table["name"] for table in listed} == {"account", "entry"}
        assert host.error("describe_table", table="agentdb.call")["code"] == "table_not_found"

        # Each statement is judged as ever, by the tools it may come through.
        for tool, statements, number in (
            ("execute", [read, {"sql": "DROP TABLE entry"}], 2),
            ("execute", [{"sql": "COMMIT"}, read], 1),
            ("execute_ddl", [read, {"sql": "SELECT pg_read_file('x')"}], 2),
        ):
            denied = host.error(tool, statements=statements)
            assert (denied["code"], denied["statement"]) == ("statement_denied", number)
        assert host.error("execute", sql="SELECT 1", statements=[read])["code"] == "bad_argument"
        handle = host.call("transaction", action="begin")["structuredContent"]["transaction"]
        refused = host.error("execute", sql=ADD, params=["x"], transaction=handle, idempotency_key="in")
        assert refused["code"] == "bad_argument"


@asynccontextmanager
async def superuser(home: Path, database: str) -> AsyncIterator[tuple[Any, Any]]:
    """Two connections, one to hold locks and one to look on."""
    server = await EmbeddedPostgres.open(home)
    arguments = {**dsn.arguments(server.admin_uri.reveal()), "database": database}
    holder, watcher = await asyncpg.connect(**arguments), await asyncpg.connect(**arguments)
    yield holder, watcher
    await holder.close()
    await watcher.close()
    await server.close()


BLOCKS = {
    "at the key": "LOCK TABLE agentdb.call IN ACCESS EXCLUSIVE MODE",
    "at the statement": "LOCK TABLE entry IN ACCESS EXCLUSIVE MODE",
    "at the commit": "SELECT FROM account WHERE id = 1 FOR UPDATE",
}
"""What holds a call up at that step: the deferred foreign key is checked by COMMIT."""


async def test_a_server_killed_at_any_step_leaves_the_change_made_once_or_not_at_all(
    home: Path, workspace: str
) -> None:
    with Host(home, "--workspace", workspace) as other:
        other.call("execute_ddl", statements=TABLES)
        other.call("execute", sql=ADD, params=["warm"], idempotency_key="warm")
        ((database,),) = other.rows("SELECT current_database()")
        async with superuser(home, database) as (holder, watcher):
            for number, step in enumerate([*BLOCKS, "after the commit"], 2):
                change = {"sql": ADD, "params": [step], "idempotency_key": step}
                with Host(home, "--workspace", workspace) as host:
                    async with holding(holder, BLOCKS.get(step, "SELECT")):
                        host.ask("tools/call", {"name": "execute", "arguments": change})
                        await until(partial(watcher.fetchval, *reached(step, database)))
                        host.process.kill()
                        host.process.wait()
                # Another server is asked, whatever PostgreSQL still does for the dead one.
                told = other.call("execute", **change)
                assert not told["isError"], (step, told)
                assert told["structuredContent"]["rows"][0][1] == step
                assert "replayed" in told["structuredContent"] or step != "after the commit"
                assert other.rows("SELECT count(*) FROM entry") == [[number]]
        with Host(home, "--workspace", workspace) as restarted:
            for step in [*BLOCKS, "after the commit"]:
                told = restarted.call("execute", sql=ADD, params=[step], idempotency_key=step)
                assert told["structuredContent"]["replayed"] is True
                assert told["structuredContent"]["rows"][0][1] == step
        assert other.rows("SELECT count(*) FROM entry") == [[number]]


@asynccontextmanager
async def holding(connection: Any, lock: str) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(lock)
    yield
    await transaction.rollback()


def reached(step: str, database: str) -> tuple[str, ...]:
    """A query, with its values, that answers true once a call is there."""
    if step == "after the commit":
        return "SELECT true FROM entry WHERE what = $1", step
    query = " AND query = 'COMMIT'" if step == "at the commit" else ""
    return (
        f"SELECT true FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'{query}",
        database,
    )
