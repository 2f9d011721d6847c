"""What agents learn of a schema, and of its changes, through the real server."""

from pathlib import Path

from support.commands import Cli
from support.hosts import Host


def test_an_agent_hears_of_its_siblings_changes_of_the_shared_schema(
    agentdb: Cli, home: Path, user: str, workspace: str
) -> None:
    sibling = f"{workspace}-2"
    assert agentdb("workspace", "create", sibling, "--user", user).returncode == 0
    with Host(home, "--workspace", workspace) as one, Host(home, "--workspace", sibling) as other:
        first = other.call("list_tables", database="global")
        version = first["structuredContent"]["schema_version"]
        assert first["content"][0]["text"] == "global: 0 tables"
        made = one.call("execute_ddl", sql="CREATE TABLE note (text text)", database="global")
        assert made["structuredContent"]["schema_version"] == version + 1
        one.call("execute_ddl", sql="ALTER TABLE note ADD by text", database="global")
        heard = other.call("query", sql="SELECT by FROM note", database="global")
        if heard["structuredContent"]["schema_version"] != version + 2:  # the news was slower than the call
            heard = other.call("list_tables", database="global")
        assert f"was {version}" in heard["content"][0]["text"]
        changed = other.call("list_tables", since=version, database="global")
        assert "table public.note changed: by text added" in changed["content"][0]["text"]
        assert [each["version"] for each in changed["structuredContent"]["changes"]] == [
            version + 1,
            version + 2,
        ]
        silent = other.call("query", sql="SELECT 1", database="global")
        assert "schema version" not in silent["content"][0]["text"]
        for never in (version + 9, -1):
            assert other.error("list_tables", since=never, database="global")["code"] == "bad_argument"


def test_an_agent_learns_what_a_statement_costs_and_the_shared_database_refuses_a_runaway(
    home: Path, workspace: str
) -> None:
    runaway = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    with Host(home, "--workspace", workspace) as host:
        host.call("execute_ddl", sql="CREATE TABLE item (id int PRIMARY KEY, note text)")
        plan = host.call("explain", sql="SELECT * FROM item WHERE id = $1", params=[1])
        assert "item: 1 row," in plan["content"][0]["text"]
        assert len(plan["structuredContent"]["milliseconds"]) == 2
        told = host.call("explain", sql=runaway)
        assert "! joins every row with every row" in told["content"][0]["text"]
        assert host.error("explain", sql="EXPLAIN SELECT 1")["code"] == "bad_argument"
        assert host.error("explain", sql="DROP DATABASE x")["code"] == "statement_denied"
        host.call("execute_ddl", sql="CREATE TABLE big (n bigint)", database="global")
        for tool, sql in (("query", runaway), ("execute", f"INSERT INTO big {runaway} GROUP BY a")):
            error = host.error(tool, sql=sql, database="global")
            assert error["code"] == "plan_too_costly"
            assert "joins every row with every row" in error["message"]
        assert host.rows("SELECT count(*) FROM pg_class WHERE oid = 0", database="global") == [[0]]
