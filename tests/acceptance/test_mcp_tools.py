"""Every tool of `agentdb mcp`, against real databases, through the SDK's own client and line by line."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from support.commands import Cli, environment, run_agentdb
from support.hosts import Host

ROOT = Path(__file__).parents[2]


def configurations() -> Iterator[tuple[str, list[str]]]:
    """Every entry for a host in the example and in the how-to: its name and its arguments."""
    page = (ROOT / "docs" / "how-to" / "connect-a-host.md").read_text()
    example = (ROOT / "mcp.json.example").read_text()
    for text in (example, *re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)):
        configured = json.loads(text)
        assert list(configured) == ["mcpServers"], "hosts may refuse any other key"
        for name, entry in configured["mcpServers"].items():
            assert set(entry) == {"command", "args"}
            assert entry["command"] == "agentdb"
            yield name, entry["args"]


@pytest.fixture
def host(home: Path, workspace: str) -> Iterator[Host]:
    with Host(home, "--workspace", workspace) as started:
        yield started


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_builds_and_uses_its_databases(
    home: Path, workspace: str, mode: Literal["auto", "legacy"]
) -> None:
    """The SDK's client holds every answer against the tool's output schema."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "agentdb_mcp", "mcp", "--workspace", workspace],
        env=environment(home),
    )
    async with Client(server, mode=mode) as client:

        async def call(tool: str, **arguments: Any) -> CallToolResult:
            result = await client.call_tool(tool, arguments)
            assert isinstance(result, CallToolResult)
            assert not result.is_error, result
            return result

        for database in ("agent", "global"):
            made = await call(
                "execute_ddl",
                sql="CREATE TABLE book (id bigint PRIMARY KEY, title text NOT NULL)",
                database=database,
            )
            assert text_of(made) == f"{database}: CREATE TABLE"
            added = await call(
                "execute",
                sql="INSERT INTO book VALUES ($1, $2), (2, 'Emma') RETURNING id",
                params=[1, "Ulysses"],
                database=database,
            )
            assert text_of(added).startswith(f"{database}: 2 rows affected\n")
            found = await call("query", sql="SELECT * FROM book ORDER BY id", database=database)
            assert found.structured_content == {
                "database": database,
                "columns": [{"name": "id", "type": "bigint"}, {"name": "title", "type": "text"}],
                "rows": [[1, "Ulysses"], [2, "Emma"]],
                "row_count": 2,
                "truncated": None,
                "schema_version": 1,
            }
            listed = await call("list_tables", database=database)
            assert "book" in text_of(listed)
            described = await call("describe_table", table="book", database=database)
            assert "title text" in text_of(described)
        dropped = await call("execute_ddl", sql="DROP TABLE book", database="global")
        assert text_of(dropped) == "global: DROP TABLE"


@pytest.mark.parametrize(
    ("sent_to", "sql", "belongs_to"),
    [
        ("query", "INSERT INTO t VALUES (1)", "execute"),
        ("query", "CREATE TABLE u (id int)", "execute_ddl"),
        ("execute", "SELECT 1", "query"),
        ("execute", "DROP TABLE t", "execute_ddl"),
        ("execute_ddl", "SELECT 1", "query"),
        ("execute_ddl", "DELETE FROM t", "execute"),
    ],
)
def test_a_statement_sent_to_the_wrong_tool_is_refused_with_the_right_ones_name(
    agent: Host, sent_to: str, sql: str, belongs_to: str
) -> None:
    error = agent.error(sent_to, sql=sql)
    assert error["code"] == "statement_denied"
    assert re.search(rf"\b{belongs_to}\b", f"{error['message']} {error['hint']}"), error


@pytest.fixture(scope="module")
def agent(home: Path) -> Iterator[Host]:
    """One server for the questions that leave nothing behind."""
    for arguments in (("user", "create", "reader"), ("workspace", "create", "reading", "--user", "reader")):
        made = run_agentdb(home, *arguments)
        assert made.returncode == 0, made.stderr
    with Host(home, "--workspace", "reading") as started:
        yield started


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("query", {"sql": "SELECT 1", "workspace": "other"}),
        ("query", {"sql": "SELECT 1", "user": "other"}),
        ("query", {"query": "SELECT 1"}),
        ("query", {"sql": 1}),
        ("query", {"sql": "SELECT 1", "database": "postgres"}),
        ("execute_ddl", {"sql": "CREATE TABLE t (id int)", "params": []}),
        ("describe_table", {}),
        ("list_tables", {"pattern": 5}),
        ("drop_everything", {}),
    ],
)
def test_wrong_arguments_are_refused_in_words(agent: Host, tool: str, arguments: dict[str, Any]) -> None:
    error = agent.error(tool, **arguments)
    assert error["code"] == "bad_argument"
    assert error["hint"]


def test_missing_arguments_altogether_are_refused_too(agent: Host) -> None:
    answer = agent.request("tools/call", {"name": "query"})
    message = answer["result"]["structuredContent"]["error"]["message"]
    assert message == "query needs the argument sql, or a cursor to go on with."


def test_an_error_of_postgres_says_where_and_why(agent: Host) -> None:
    error = agent.error("query", sql="SELECT nme FROM (SELECT 1 AS name) AS a")
    assert error["code"] == "sql_failed"
    assert error["sqlstate"] == "42703"
    assert error["position"] == 8
    assert "a.name" in error["postgres_hint"]


def test_an_agent_learns_what_it_works_with(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="10") as host:
        for database in ("agent", "global"):
            info = host.call("database_info", database=database)
            assert info["content"][0]["text"].startswith(f"{database}: PostgreSQL ")
            assert info["structuredContent"]["limits"]["max_rows"] == 10
            assert {"name", "version", "schema"} == set(info["structuredContent"]["extensions"][0])


def test_a_model_can_lower_the_row_cap_and_never_raise_it(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="10") as host:
        series = "SELECT * FROM generate_series(1, 100)"
        for asked, given in ((None, 10), (3, 3), (1_000_000, 10)):
            result = host.call("query", sql=series, **({} if asked is None else {"max_rows": asked}))
            assert result["structuredContent"]["row_count"] == given
            assert result["structuredContent"]["truncated"] == "rows"
            assert "Cut at the row limit" in result["content"][0]["text"]


def test_a_model_can_lower_the_byte_cap_and_never_raise_it(home: Path, workspace: str) -> None:
    sql = "SELECT repeat('x', 96) FROM generate_series(1, 100)"  # 100 bytes a row, and a comma
    with Host(home, "--workspace", workspace, AGENTDB_MAX_RESULT_BYTES="2021") as host:
        for asked, given in ((None, 20), (1_000_000, 20), (506, 5), (505, 4)):
            result = host.call("query", sql=sql, **({} if asked is None else {"max_bytes": asked}))
            assert result["structuredContent"]["row_count"] == given
            assert result["structuredContent"]["truncated"] == "bytes"
        first = host.call("query", sql=sql, max_rows=15)["structuredContent"]
        cursor = first["next_cursor"]
        assert host.call("query", cursor=cursor, max_bytes=300)["structuredContent"]["row_count"] == 2
        assert host.error("query", sql=sql, max_bytes=50)["code"] == "result_too_large"
        host.call("execute_ddl", sql="CREATE TABLE wide (x text)")
        made = host.call("execute", sql=f"INSERT INTO wide {sql} RETURNING x", max_bytes=250)
        assert made["structuredContent"]["affected"] == 100
        assert made["structuredContent"]["row_count"] == 2


def test_an_agent_reads_long_texts_within_its_tokens(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_RESULT_TOKENS="2000") as host:
        host.call("execute_ddl", sql="CREATE TABLE pages (id int PRIMARY KEY, body text NOT NULL)")
        filling = "INSERT INTO pages SELECT n, repeat('wörd ', n * 700) FROM generate_series(1, 9) n"
        made = host.call("execute", sql=filling + " RETURNING id, body", max_cell=10)
        assert '[9,"wörd wörd "…[+31,490 of 31,500 chars]]' in made["content"][0]["text"]
        found = host.call("query", sql="SELECT id, body FROM pages ORDER BY id")
        text, typed = found["content"][0]["text"], found["structuredContent"]
        assert len(text) / 4 <= 2_000
        assert (typed["truncated"], typed["total"], typed["row_count"]) == ("tokens", 9, 2)
        assert text.startswith("agent: rows 1-2 of 9\n")
        following = host.call("query", cursor=typed["next_cursor"], max_cell=1_000)["structuredContent"]
        assert [row[0] for row in following["rows"]] == [3, 4, 5, 6, 7, 8, 9]
        assert following["cut"][0] == {"row": 0, "column": 1, "kept": 1_000, "length": 10_500}
        whole = host.call("query", sql="SELECT body FROM pages WHERE id = 9", max_cell=50_000)
        assert whole["structuredContent"]["cut"][0]["kept"] > 7_000
        assert len(whole["content"][0]["text"]) / 4 <= 2_000
        few = host.call("query", sql="SELECT id FROM pages ORDER BY id", max_tokens=1)["structuredContent"]
        assert (few["rows"], few["truncated"], few["total"]) == ([[1]], "tokens", 9)


def test_a_function_that_writes_is_called_through_execute(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace) as host:
        for sql in (
            "CREATE TABLE kept (a int)",
            "CREATE FUNCTION keep() RETURNS int LANGUAGE sql AS 'INSERT INTO kept VALUES (7) RETURNING a'",
        ):
            host.call("execute_ddl", sql=sql)
        refused = host.error("query", sql="SELECT keep()")
        assert refused["sqlstate"] == "25006"
        assert "`execute`" in refused["hint"]
        made = host.call("execute", sql="SELECT keep()")["structuredContent"]
        assert (made["affected"], made["rows"]) == (None, [[7]])
        assert host.rows("SELECT a FROM kept") == [[7]]


def test_an_agent_rehearses_a_change_before_it_makes_it(home: Path, workspace: str) -> None:
    delete = "DELETE FROM parent WHERE id = $1 RETURNING id"
    with Host(home, "--workspace", workspace) as host:
        for sql in (
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "CREATE TABLE child (parent int REFERENCES parent ON DELETE CASCADE)",
        ):
            host.call("execute_ddl", sql=sql)
        host.call("execute", sql="INSERT INTO parent VALUES (1), (2)")
        host.call("execute", sql="INSERT INTO child VALUES (1), (1), (2)")
        rehearsed = host.call("execute", sql=delete, params=[1], dry_run=True)
        assert "dry run, undone: 1 row would be affected" in rehearsed["content"][0]["text"]
        assert "public.child: 2 deleted" in rehearsed["content"][0]["text"]
        assert rehearsed["structuredContent"]["dry_run"] is True
        assert rehearsed["structuredContent"]["rows"] == [[1]]
        assert host.rows("SELECT count(*) FROM child") == [[3]]
        made = host.call("execute", sql=delete, params=[1], dry_run=False)["structuredContent"]
        assert (made["affected"], "dry_run" in made) == (1, False)
        assert host.rows("SELECT count(*) FROM child") == [[1]]
        failed = host.error("execute", sql="INSERT INTO child VALUES (9)", dry_run=True)
        assert failed["sqlstate"] == "23503"
        assert host.error("execute", sql="DROP TABLE child", dry_run=True)["code"] == "statement_denied"


def test_an_agent_reads_page_by_page(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="4") as host:
        page = host.call("query", sql="SELECT generate_series(1, $1::int)", params=[10])
        seen = page["structuredContent"]["rows"]
        while page["structuredContent"]["truncated"]:
            cursor = page["structuredContent"]["next_cursor"]
            assert cursor in page["content"][0]["text"]
            first, last = len(seen) - page["structuredContent"]["row_count"] + 1, len(seen)
            assert page["content"][0]["text"].startswith(f"agent: rows {first}-{last} of about 10\n")
            again = host.call("query", cursor=cursor)["structuredContent"]
            page = host.call("query", cursor=cursor)
            assert again["rows"] == page["structuredContent"]["rows"]
            seen += page["structuredContent"]["rows"]
        assert seen == [[number] for number in range(1, 11)]
        assert "next_cursor" not in page["structuredContent"]
        assert page["content"][0]["text"].startswith("agent: rows 9-10 of 10\n")


def test_a_read_in_the_order_of_a_key_goes_on_whatever_became_of_the_rows_before(
    home: Path, workspace: str
) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="4") as host:
        host.call("execute_ddl", sql="CREATE TABLE steps (n int PRIMARY KEY, t text)")
        host.call("execute", sql="INSERT INTO steps SELECT n, 'x' FROM generate_series(1, 10) n")
        sql = "SELECT n, t FROM steps WHERE t = $1 ORDER BY n; -- all"
        cursor = host.call("query", sql=sql, params=["x"])["structuredContent"]["next_cursor"]
        host.call("execute", sql="DELETE FROM steps WHERE n IN (1, 2, 6)")
        page = host.call("query", cursor=cursor)
        assert page["structuredContent"]["rows"] == [[5, "x"], [7, "x"], [8, "x"], [9, "x"]]
        last = host.call("query", cursor=page["structuredContent"]["next_cursor"])
        assert last["structuredContent"]["rows"] == [[10, "x"]]
        assert last["content"][0]["text"].startswith("agent: row 9 of 9\n")
        host.call("execute_ddl", sql="ALTER TABLE steps RENAME t TO u")
        assert host.error("query", cursor=cursor)["sqlstate"] == "42703"
        host.call("execute_ddl", sql="DROP TABLE steps")
        gone = host.error("query", cursor=cursor)
        assert (gone["sqlstate"], gone["position"]) == ("42P01", 18)


def test_a_cursor_keeps_to_its_statement_its_database_and_its_rows(home: Path, workspace: str) -> None:
    sql = "SELECT n FROM generate_series(1, 9) n"
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="4") as host:
        page = host.call("query", sql=sql, database="global", max_rows=2)["structuredContent"]
        same = {"cursor": page["next_cursor"], "database": "global"}
        assert host.call("query", **same)["structuredContent"]["rows"] == [[3], [4]]
        assert host.call("query", **same, sql=sql, params=[])["structuredContent"]["rows"] == [[3], [4]]
        assert host.call("query", **same, max_rows=9)["structuredContent"]["rows"] == [[3], [4], [5], [6]]
        for other in ({"database": "agent"}, {"sql": sql + " "}, {"params": [1]}):
            assert host.error("query", **{**same, **other})["code"] == "bad_argument"


def test_forged_and_foreign_cursors_and_those_whose_rows_changed_lead_nowhere(
    agentdb: Cli, home: Path, user: str, workspace: str
) -> None:
    sibling = f"{workspace}-2"
    assert agentdb("workspace", "create", sibling, "--user", user).returncode == 0
    read = {"sql": "SELECT n FROM numbers ORDER BY n", "max_rows": 1, "database": "global"}
    with Host(home, "--workspace", workspace) as one, Host(home, "--workspace", sibling) as other:
        one.call("execute_ddl", sql="CREATE TABLE numbers (n int)", database="global")
        one.call("execute", sql="INSERT INTO numbers VALUES (1), (2), (3)", database="global")
        cursor = one.call("query", **read)["structuredContent"]["next_cursor"]
        assert one.call("query", cursor=cursor, database="global")["structuredContent"]["rows"] == [[2]]
        for host, handle in ((other, cursor), (one, cursor + "x"), (one, ""), (one, "é" * 10_000)):
            error = host.error("query", cursor=handle, database="global")
            assert error["code"] == "cursor_expired"
            assert "Run the statement again" in error["hint"]
        other.call("execute", sql="DELETE FROM numbers WHERE n = 1", database="global")
        error = one.error("query", cursor=cursor, database="global")
        assert error["code"] == "cursor_expired"
        assert "no longer gives the rows it gave before" in error["message"]


def test_a_cursor_is_admitted_anew_each_time_and_ends_with_its_database(
    agentdb: Cli, home: Path, user: str, workspace: str
) -> None:
    rows = agentdb("database", "list", "--user", user, "--json").stdout.splitlines()
    (database,) = [row["id"] for row in map(json.loads, rows) if row["kind"] == "agent"]
    with Host(home, "--workspace", workspace) as host:
        page = host.call("query", sql="SELECT generate_series(1, 9)", max_rows=3)["structuredContent"]
        assert agentdb("database", "pause", database).returncode == 0
        assert host.error("query", cursor=page["next_cursor"])["code"] == "database_paused"
        assert agentdb("database", "resume", database).returncode == 0
        assert host.call("query", cursor=page["next_cursor"])["structuredContent"]["rows"] == [[4], [5], [6]]
        assert agentdb("workspace", "delete", workspace, "--user", user).returncode == 0
        assert agentdb("workspace", "create", workspace, "--user", user).returncode == 0
        assert host.rows("SELECT 1") == [[1]]
        assert host.error("query", cursor=page["next_cursor"])["code"] == "cursor_expired"


@pytest.mark.parametrize(
    ("word", "served"), [("agent", ["agent"]), ("global", ["global"]), ("both", ["agent", "global"])]
)
def test_a_server_serves_the_databases_it_was_started_with(
    home: Path, workspace: str, word: str, served: list[str]
) -> None:
    with Host(home, "--workspace", workspace, "--database", word) as host:
        assert all(tool["inputSchema"]["properties"]["database"]["enum"] == served for tool in host.tools())
        assert host.call("query", sql="SELECT 1")["structuredContent"]["database"] == served[0]
        for database in {"agent", "global"} - set(served):
            assert host.error("query", sql="SELECT 1", database=database)["code"] == "bad_argument"


def test_every_entry_written_for_hosts_starts_a_server(home: Path, workspace: str) -> None:
    served = []
    for name, (verb, *rest) in configurations():
        assert verb == "mcp"
        with Host(home, *(workspace if word == "WORKSPACE_ID" else word for word in rest)) as host:
            assert host.rows("SELECT 1") == [[1]]
            served.append((name, host.tools()[0]["inputSchema"]["properties"]["database"]["enum"]))
    split = [("postgres-global", ["global"]), ("postgres-agent", ["agent"])]
    assert served == [*split, ("postgres", ["agent", "global"]), *split]


def test_calls_beyond_a_workspaces_share_wait_and_a_line_that_is_too_long_is_refused(
    home: Path, workspace: str
) -> None:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_CONCURRENT="1") as host:
        endless = host.ask(
            "tools/call",
            {"name": "query", "arguments": {"sql": "SELECT count(*) FROM generate_series(1, 1e12)"}},
        )
        waiting = [host.ask("tools/call", {"name": "list_tables", "arguments": {}}) for _ in range(100)]
        assert host.error("query", sql="SELECT 1")["code"] == "rate_limited"
        host.notify("notifications/cancelled", {"requestId": endless})
        answers = [host.receive() for _ in waiting]
        assert {answer["id"] for answer in answers} == set(waiting)
        assert not any(answer["result"]["isError"] for answer in answers)
        assert host.rows("SELECT 1") == [[1]]


def test_a_paused_database_is_refused_and_a_resumed_one_served_without_a_new_server(
    agentdb: Cli, home: Path, user: str, workspace: str
) -> None:
    rows = agentdb("database", "list", "--user", user, "--json").stdout.splitlines()
    (database,) = [row["id"] for row in map(json.loads, rows) if row["kind"] == "agent"]
    with Host(home, "--workspace", workspace) as host:
        assert host.rows("SELECT 1") == [[1]]
        assert agentdb("database", "pause", database).returncode == 0
        assert host.error("query", sql="SELECT 1")["code"] == "database_paused"
        assert host.error("query", sql="not even SQL")["code"] == "database_paused"
        assert host.rows("SELECT 1", database="global") == [[1]]
        assert agentdb("database", "resume", database).returncode == 0
        assert host.rows("SELECT 1") == [[1]]


def test_what_an_agent_writes_to_the_shared_database_its_sibling_reads(
    agentdb: Cli, home: Path, user: str, workspace: str
) -> None:
    sibling = f"{workspace}-2"
    assert agentdb("workspace", "create", sibling, "--user", user).returncode == 0
    with Host(home, "--workspace", workspace) as one, Host(home, "--workspace", sibling) as other:
        one.call("execute_ddl", sql="CREATE TABLE note (text text)", database="global")
        one.call("execute", sql="INSERT INTO note VALUES ('hello')", database="global")
        assert other.rows("SELECT text FROM note", database="global") == [["hello"]]
        assert other.error("query", sql="SELECT text FROM note")["sqlstate"] == "42P01"


def test_nothing_a_server_says_holds_a_connection_string(host: Host) -> None:
    said = [
        json.dumps(host.request("tools/list")),
        json.dumps(host.call("query", sql="SELECT current_user, current_database()")),
        json.dumps(host.call("query", sql="SELECT * FROM nowhere")),
        json.dumps(host.call("list_tables")),
        host.stderr,
    ]
    for word in ("postgresql://", "postgres://", "password", "127.0.0.1"):
        assert not [text for text in said if word in text]
