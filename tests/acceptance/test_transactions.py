"""Transactions over several calls, as an agent's host meets them."""

import signal
from pathlib import Path

from support.commands import Cli
from support.hosts import Host
from support.waiting import soon


def begin(host: Host, **arguments: str) -> str:
    answer = host.call("transaction", action="begin", **arguments)
    assert not answer["isError"], answer
    handle: str = answer["structuredContent"]["transaction"]
    assert f"transaction {handle} is open" in answer["content"][0]["text"]
    assert (answer["structuredContent"]["seconds"], answer["structuredContent"]["idle_seconds"]) == (300, 60)
    return handle


def test_a_transaction_from_begin_to_its_end(home: Path, workspace: str, agentdb: Cli, user: str) -> None:
    other = f"{workspace}-b"
    assert agentdb("workspace", "create", other, "--user", user).returncode == 0
    with Host(home, "--workspace", workspace) as host, Host(home, "--workspace", other) as stranger:
        assert not host.call("execute_ddl", sql="CREATE TABLE note (id int PRIMARY KEY)")["isError"]
        handle = begin(host)
        inside = {"transaction": handle}
        assert not host.call("execute_ddl", sql="CREATE TABLE more (id int)", **inside)["isError"]
        made = host.call("execute", sql="INSERT INTO note VALUES (1), (2)", **inside)
        assert made["structuredContent"]["affected"] == 2
        assert host.rows("SELECT count(*) FROM note", **inside) == [[2]]
        assert host.rows("SELECT count(*) FROM note") == [[0]]

        # A statement that fails, and one that is late, are undone alone, and say so.
        failed = host.error("execute", sql="INSERT INTO note VALUES (3), (1)", **inside)
        assert failed["sqlstate"] == "23505"
        assert "the transaction goes on as it was before it" in failed["hint"]
        endless = "SELECT count(*) FROM generate_series(1, 1e12)"
        late = host.error("query", sql=endless, timeout=0.3, **inside)
        assert (late["code"], "0.3 s" in late["message"]) == ("query_timeout", True)
        assert host.rows("SELECT id FROM note ORDER BY id", **inside) == [[1], [2]]

        # Judged as ever, by the tool's own rules.
        assert host.error("query", sql="DELETE FROM note", **inside)["rule"] == "tool.mismatch"
        assert host.error("execute", sql="COMMIT", **inside)["rule"] == "statement.transaction"
        dry = host.call("execute", sql="DELETE FROM note WHERE id = 1", dry_run=True, **inside)
        assert dry["structuredContent"]["affected"] == 1

        # Nobody else's, in no other place, and only as it is meant.
        for code, tool, arguments in (
            ("transaction_expired", "query", {"sql": "SELECT 1", "transaction": "forged"}),
            ("bad_argument", "query", {"sql": "SELECT 1", "database": "global", **inside}),
            ("bad_argument", "query", {"cursor": "c", **inside}),
            ("bad_argument", "transaction", {"action": "commit"}),
            ("bad_argument", "transaction", {"action": "begin", **inside}),
            ("bad_argument", "transaction", {"action": "savepoint", **inside}),
        ):
            assert host.error(tool, **arguments)["code"] == code
        for arguments in ({"sql": "SELECT 1"}, {"sql": "SELECT 1", "database": "global"}):
            assert stranger.error("query", **arguments, **inside)["code"] == "transaction_expired"
        assert stranger.error("transaction", action="commit", **inside)["code"] == "transaction_expired"

        cut = host.call("query", sql="SELECT * FROM note ORDER BY id", max_rows=1, **inside)
        assert "next_cursor" not in cut["structuredContent"]
        ended = host.call("transaction", action="commit", **inside)["structuredContent"]
        version = ended.pop("schema_version")
        assert ended == {"database": "agent", "state": "committed"}
        changed = host.call("list_tables", since=version - 1)["structuredContent"]["changes"]
        assert "more" in str(changed)
        assert host.rows("SELECT id FROM note ORDER BY id") == [[1], [2]]
        assert host.rows("SELECT count(*) FROM more") == [[0]]
        assert host.error("query", sql="SELECT 1", **inside)["code"] == "transaction_expired"

        # On the shared database, one at a time; and rolled back.
        shared = begin(host, database="global")
        assert host.error("transaction", action="begin", database="global")["code"] == "rate_limited"
        ended = host.call("transaction", action="rollback", transaction=shared, database="global")
        assert ended["structuredContent"]["state"] == "rolled back"


def test_a_server_that_is_killed_or_stopped_leaves_no_lock_behind(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace) as witness:
        witness.call("execute_ddl", sql="CREATE TABLE note (id int PRIMARY KEY, n int)")
        witness.call("execute", sql="INSERT INTO note VALUES (1, 0)")

        def is_free() -> bool:
            sql = "SELECT n FROM note WHERE id = 1 FOR UPDATE NOWAIT"
            return not witness.call("execute", sql=sql)["isError"]

        for end in (signal.SIGKILL, signal.SIGTERM):
            with Host(home, "--workspace", workspace) as host:
                handle = begin(host)
                made = host.call("execute", sql="UPDATE note SET n = n + 1 WHERE id = 1", transaction=handle)
                assert made["structuredContent"]["affected"] == 1
                assert not is_free()
                host.process.send_signal(end)
                host.process.wait(30)
            soon(is_free)
        assert witness.rows("SELECT n FROM note") == [[0]]


def test_a_pause_in_mid_transaction_ends_it(agentdb: Cli, home: Path, workspace: str, user: str) -> None:
    listed = agentdb("database", "list", "--user", user, "--json").stdout.splitlines()
    (database,) = [line.split('"id": "')[1].split('"')[0] for line in listed if '"agent"' in line]
    with Host(home, "--workspace", workspace) as host:
        host.call("execute_ddl", sql="CREATE TABLE note (id int PRIMARY KEY)")
        inside = {"transaction": begin(host)}
        host.call("execute", sql="INSERT INTO note VALUES (1)", **inside)
        assert agentdb("database", "pause", database).returncode == 0
        refused = host.error("execute", sql="INSERT INTO note VALUES (2)", **inside)
        assert refused["code"] == "database_paused"
        assert "The transaction was rolled back." in refused["hint"]
        assert agentdb("database", "resume", database).returncode == 0
        soon(lambda: not host.call("query", sql="SELECT 1")["isError"])
        assert host.error("transaction", action="commit", **inside)["code"] == "transaction_expired"
        assert host.rows("SELECT count(*) FROM note") == [[0]]
