"""The wire of `agentdb mcp`: whatever a client sends, or however it leaves, the server answers or ends cleanly."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from agentdb_mcp.entrypoints.mcp.wire import LONGEST_LINE
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.commands import Cli, environment, run_agentdb
from support.hosts import ERAS, Host, command

ENDLESS = "SELECT count(*) FROM generate_series(1, 90000) a, generate_series(1, 90000) b, generate_series(1, 90000) c"


@pytest.fixture(scope="module")
def place(home: Path) -> str:
    """One workspace for all of these tests: none of them leaves anything in its databases."""
    for arguments in (("user", "create", "wired"), ("workspace", "create", "wiring", "--user", "wired")):
        made = run_agentdb(home, *arguments)
        assert made.returncode == 0, made.stderr
    return "wiring"


@pytest.fixture(params=ERAS)
def host(request: pytest.FixtureRequest, home: Path, place: str) -> Iterator[Host]:
    with Host(home, "--workspace", place, era=request.param) as started:
        yield started


def activity(home: Path) -> list[str]:
    """The statements that Postgres is running, as its administrator sees them."""

    async def look() -> list[str]:
        server = await EmbeddedPostgres.open(home)
        connection = await asyncpg.connect(server.admin_uri.reveal())
        try:
            rows = await connection.fetch("SELECT query FROM pg_stat_activity WHERE state = 'active'")
            return [row["query"] for row in rows]
        finally:
            await connection.close()
            await server.close()

    return asyncio.run(look())


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def running(home: Path, marker: str) -> bool:
    return any(marker in statement for statement in activity(home) if "pg_stat_activity" not in statement)


def endless(marker: str) -> dict[str, Any]:
    return {"name": "query", "arguments": {"sql": f"/* {marker} */ {ENDLESS}"}}


def test_a_line_that_is_no_message_is_answered_and_the_next_call_works(host: Host) -> None:
    for line, code in ((b"{oops", -32700), (b"\xff\xfe\x00", -32700), (b"[]", -32600), (b'{"id":1}', -32600)):
        host.send_line(line)
        assert host.answer_to(None)["error"]["code"] == code
    host.send_line(b"")
    assert host.rows("SELECT 1") == [[1]]


def test_a_message_with_a_lone_surrogate_is_refused_under_its_id(host: Host) -> None:
    host.send_line(b'{"jsonrpc":"2.0","id":"s","method":"tools/call","params":{"name":"\\ud800"}}')
    error = host.answer_to("s")["error"]
    assert error["code"] == -32600
    assert "surrogate" in error["message"]
    assert host.rows("SELECT 1") == [[1]]


@pytest.mark.parametrize("request_id", ["null", "1.5", "true"])
def test_a_request_with_an_id_of_the_wrong_kind_is_answered_and_the_next_call_works(
    host: Host, request_id: str
) -> None:
    host.send_line(b'{"jsonrpc":"2.0","id":%s,"method":"tools/list"}' % request_id.encode())
    error = host.answer_to(None)["error"]
    assert error == {"code": -32600, "message": "The id of a request is a string or a whole number."}
    assert host.rows("SELECT 1") == [[1]]


def test_a_page_of_tools_that_was_never_offered_is_refused(host: Host) -> None:
    for cursor in ("", "2", "é" * 1_000):
        assert host.request("tools/list", {"cursor": cursor})["error"]["code"] == -32602
    assert host.tools()


def test_a_message_above_the_bound_is_refused_under_its_id(host: Host) -> None:
    request_id = host.ask("tools/call", {"name": "query", "arguments": {"sql": "x" * LONGEST_LINE}})
    refused = host.answer_to(request_id)
    assert refused["error"]["code"] == -32600
    assert str(LONGEST_LINE) in refused["error"]["message"]
    assert host.rows("SELECT 1") == [[1]]


def test_a_statement_of_five_megabytes_is_refused_by_the_size_gate(host: Host) -> None:
    error = host.error("query", sql="SELECT '" + "x" * 5_000_000 + "'")
    assert error["code"] == "statement_denied"
    assert len(json.dumps(error)) < 2_000
    assert host.rows("SELECT 1") == [[1]]


def test_a_nul_byte_is_refused_in_a_statement_and_in_a_parameter(host: Host) -> None:
    assert host.error("query", sql="SELECT '\0'")["code"] in {"statement_denied", "sql_syntax"}
    assert host.error("query", sql="SELECT $1::text", params=["a\0b"])["code"] in {
        "bad_argument",
        "sql_failed",
    }
    assert host.rows("SELECT $1::text", params=["ab"]) == [["ab"]]


def test_a_hundred_thousand_parameters_are_refused(host: Host) -> None:
    assert host.error("query", sql="SELECT $1::int", params=[1] * 100_000)["code"] == "bad_argument"
    assert host.rows("SELECT $1::int", params=[1]) == [[1]]


def test_a_long_call_does_not_hold_up_a_short_one_and_stops_when_it_is_cancelled(
    host: Host, home: Path
) -> None:
    marker = f"cancelled {host.era}"
    request_id = host.ask("tools/call", endless(marker))
    until(lambda: running(home, marker))
    assert host.rows("SELECT 1") == [[1]]
    host.notify("notifications/cancelled", {"requestId": request_id})
    until(lambda: not running(home, marker))
    assert host.rows("SELECT 2") == [[2]]


def test_many_calls_at_once_are_all_answered(host: Host) -> None:
    calls = {
        host.ask(
            "tools/call", {"name": "query", "arguments": {"sql": "SELECT $1::int", "params": [number]}}
        ): number
        for number in range(50)
    }
    while calls:
        answer = host.receive()
        assert answer["result"]["structuredContent"]["rows"] == [[calls.pop(answer["id"])]]


def test_hanging_up_stops_what_runs_and_ends_the_server(host: Host, home: Path) -> None:
    marker = f"hung up {host.era}"
    host.ask("tools/call", endless(marker))
    until(lambda: running(home, marker))
    assert host.close() == 0
    until(lambda: not running(home, marker))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_what_runs_and_ends_the_server_in_order(host: Host, home: Path, number: int) -> None:
    marker = f"signal {number} {host.era}"
    host.ask("tools/call", endless(marker))
    until(lambda: running(home, marker))
    host.process.send_signal(number)
    assert host.process.wait(30) == 0
    until(lambda: not running(home, marker))
    assert "Traceback" not in host.stderr


def test_a_client_that_reads_nothing_does_not_keep_the_server_from_ending(host: Host) -> None:
    for _ in range(50):
        host.ask("tools/call", {"name": "query", "arguments": {"sql": "SELECT repeat('x', 500000)"}})
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(30) == 0


CLIENT_TO_BE_KILLED = """
import json, subprocess, sys
server = subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for message in json.loads(sys.argv[2]):
    server.stdin.write(json.dumps(message).encode() + b"\\n")
server.stdin.flush()
print(server.pid, flush=True)
server.wait()
"""


def test_a_client_killed_outright_leaves_neither_server_nor_statement_behind(home: Path, place: str) -> None:
    marker = "killed client"
    info = {"name": "test", "version": "1"}
    messages = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info},
        },
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": endless(marker)},
    ]
    server = command("mcp", "--workspace", place)
    arguments = [sys.executable, "-c", CLIENT_TO_BE_KILLED, json.dumps(server), json.dumps(messages)]
    with subprocess.Popen(arguments, env=environment(home), stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        until(lambda: running(home, marker), 60)
        client.kill()
    until(lambda: not running(home, marker))
    until(lambda: gone(pid))


def gone(pid: int) -> bool:
    """Whether the process has ended; an orphan waiting for init to take notice counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_without_a_client_the_server_ends_at_once(home: Path, place: str) -> None:
    ended = subprocess.run(
        command("mcp", "--workspace", place),
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_an_unknown_workspace_is_refused_on_stderr_and_stdout_stays_empty(agentdb: Cli) -> None:
    refused = agentdb("mcp", "--workspace", "nobody-made-this")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "error workspace_not_found" in refused.stderr
    assert "Traceback" not in refused.stderr


STRAY_PRINTS = """
import os, subprocess, sys
from agentdb_mcp.entrypoints.mcp.wire import claimed_stdio
sys.stdout.write("buffered before ")
with claimed_stdio() as wire:
    print("printed")
    os.write(1, b"written ")
    subprocess.run(["sh", "-c", "echo from a child; cat"], check=True)
    os.write(wire.writing, b"the protocol\\n")
    assert os.read(wire.reading, 100) == b"the client"
"""


def test_stray_output_goes_to_stderr_and_children_find_an_empty_stdin() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STRAY_PRINTS],
        env={"PATH": os.environ["PATH"]},
        input=b"the client",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == b"the protocol\n"
    for words in (b"buffered before", b"printed", b"written", b"from a child"):
        assert words in ended.stderr
    assert b"the client" not in ended.stderr
