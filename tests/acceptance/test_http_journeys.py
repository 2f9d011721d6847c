"""The gateway as its users meet it: who gets in, what they find there, and what is said to those who do not."""

import asyncio
import socket
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.http.exchange import MOST_BODY
from agentdb_mcp.entrypoints.http.room import FREE, MOST_OF_ONE
from agentdb_mcp.entrypoints.mcp.server import agent_server
from support.commands import run_agentdb
from support.gateways import ACCEPT, TRANSPORTS, Caller, SseCaller, bearer, caller_on, query
from support.waiting import until

ENDLESS = "SELECT count(*) FROM generate_series(1, 90000) a, generate_series(1, 90000) b, generate_series(1, 90000) c"


async def as_on_stdio() -> list[dict[str, Any]]:
    """The list of the server object that stdio serves."""
    server = agent_server((Kind.AGENT, Kind.GLOBAL), lambda _: pytest.fail("nothing is called"))
    async with Client(server) as client:
        return [tool.model_dump(exclude_none=True) for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("way", ["auto", "legacy", "sse"])
async def test_the_sdks_own_client_finds_what_it_finds_on_stdio(served: Any, way: str) -> None:
    async with httpx2.AsyncClient(headers=bearer(served.ada)) as http:
        if way == "sse":
            client = Client(sse_client(f"{served.gateway.url}/sse", headers=bearer(served.ada)))
        else:
            transport = streamable_http_client(f"{served.gateway.url}/mcp", http_client=http)
            client = Client(transport, mode="auto" if way == "auto" else "legacy")
        async with client:
            tools = [tool.model_dump(exclude_none=True) for tool in (await client.list_tools()).tools]
            assert tools == await as_on_stdio()
            made = await client.call_tool("execute_ddl", {"sql": f"CREATE TABLE of_{way} (a int)"})
            assert not made.is_error, made.content
            table = f"of_{way}"
            await client.call_tool("execute", {"sql": f"INSERT INTO {table} VALUES ($1)", "params": [7]})
            found = await client.call_tool("query", {"sql": f"SELECT a FROM {table}"})
            assert found.structured_content is not None
            assert found.structured_content["rows"] == [[7]]
            refused = await client.call_tool("query", {"sql": "DROP TABLE nothing"})
            assert refused.is_error


async def test_two_agents_share_a_process_and_nothing_else(served: Any) -> None:
    url = served.gateway.url
    async with Caller(url, served.ada, "modern") as ada, Caller(url, served.ben, "legacy") as ben:
        whose = "SELECT current_database() || current_user"
        rows = await asyncio.gather(*[caller.rows(whose) for caller in (ada, ben) for _ in range(5)])
        assert len({str(row) for row in rows}) == 2
        assert rows[0] == rows[4] != rows[5] == rows[9]


async def test_whoever_is_not_let_in_is_told_why_and_by_the_book(served: Any) -> None:
    changed = served.ada[:-3] + ("abc" if served.ada[-3:] != "abc" else "def")
    ada = bearer(served.ada)
    cases: list[tuple[int, str, dict[str, str], str]] = [
        (401, '/.well-known/oauth-protected-resource/mcp"', {}, "no token"),
        (401, 'scope="agent"', {}, "no token"),
        (401, "Bearer realm", {"authorization": "Basic YTpi"}, "no token"),
        (401, "invalid_token", bearer("hunter2"), "no token of this server"),
        (401, "invalid_token", bearer(changed), "no such token"),
        (401, "invalid_token", bearer(served.expired), "expired"),
        (403, "insufficient_scope", bearer(served.host), "scope 'agent'"),
        (421, "", {**ada, "host": "db.example.com"}, "Host"),
        (403, "", {**ada, "origin": "https://evil.example"}, "Origin"),
        (403, "", {**ada, "origin": "null"}, "Origin"),
        (413, "", {**ada, "content-length": str(MOST_BODY + 1)}, "bytes"),
    ]
    async with httpx.AsyncClient(base_url=served.gateway.url, timeout=60) as http:
        for status, challenge, headers, words in cases:
            body = b"x" * (MOST_BODY + 1) if status == 413 else b"{}"
            sent = {"content-type": "application/json", **headers}
            answer = await http.post("/mcp", content=body, headers=sent)
            assert answer.status_code == status, (headers, answer.text)
            assert words in answer.text
            assert challenge in answer.headers.get("www-authenticate", "")
            assert set(answer.json()["error"]) <= {"code", "message", "hint"}
            told = (await http.post("/mcp", content=body, headers={**sent, "accept": ACCEPT})).json()
            assert (told["jsonrpc"], told["id"], told["error"]["code"]) == ("2.0", None, -32600)
            assert told["error"]["data"] == answer.json()["error"]
            assert words in told["error"]["message"], "an MCP client shows this to a person"
        for path in ("/sse", "/messages?session_id=x", "/mcp"):
            refused = await http.get(path) if path != "/messages?session_id=x" else await http.post(path)
            assert refused.status_code == 401
        good = {**ada, "accept": ACCEPT, "origin": "http://localhost:3000"}
        wrong = await http.put("/mcp", headers=good)
        assert wrong.status_code == 405
        assert "POST" in wrong.headers["allow"]
        assert wrong.json()["error"]["data"]["code"] == "bad_argument"
        assert "/mcp" in (await http.post("/", headers=good)).json()["error"]["message"]
        stranger = {**good, "mcp-session-id": "0" * 32, "mcp-protocol-version": "2025-11-25"}
        assert (await http.post("/mcp", json={}, headers=stranger)).status_code == 404
        for path in ("/healthz", "/readyz"):
            assert (await http.get(path, headers={"host": "10.0.0.7"})).json() == {"status": "ok"}


async def test_a_client_that_looks_for_a_way_to_sign_in_learns_that_there_is_none(served: Any) -> None:
    url = served.gateway.url
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        refused = await http.post("/mcp")
        where = refused.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
        assert (await http.get(where)).json() == {
            "resource": f"{url}/mcp",
            "resource_name": "agentdb",
            "scopes_supported": ["agent"],
            "bearer_methods_supported": ["header"],
        }
        for method, path in (
            ("GET", "/.well-known/oauth-protected-resource"),
            ("GET", "/.well-known/oauth-authorization-server"),
            ("GET", "/.well-known/openid-configuration"),
            ("POST", "/register"),
            ("GET", "/authorize"),
            ("POST", "/token"),
        ):
            answer = await http.request(method, path)
            assert answer.status_code == 404, path
            assert "agentdb token create" in answer.json()["error_description"]


async def test_a_session_is_of_no_use_to_another_agent(served: Any) -> None:
    url = served.gateway.url
    async with Caller(url, served.ada, "legacy") as ada, SseCaller(url, served.ada) as listening:
        message = ada.message("tools/call", query("SELECT 1"))
        theirs = await ada.post(message, **bearer(served.ben))
        assert theirs.status_code == 404
        listening.http.headers.update(bearer(served.ben))
        assert (await listening.post(message)).status_code == 404
        listening.http.headers.update(bearer(served.ada))
        assert await listening.rows("SELECT 1") == [[1]]
        assert await ada.rows("SELECT 2") == [[2]]


async def test_a_users_yes_to_one_agent_is_none_to_another(served: Any) -> None:
    url = served.gateway.url
    async with Caller(url, served.ada, "modern") as ada, Caller(url, served.ben, "modern") as ben:
        for caller in (ada, ben):
            caller.capabilities = {"elicitation": {}}
            ddl = {"name": "execute_ddl", "arguments": {"sql": "CREATE TABLE kept AS SELECT 1 AS a"}}
            assert not (await caller.request("tools/call", ddl))["result"]["isError"]
        drop = {"name": "execute_ddl", "arguments": {"sql": "DROP TABLE kept"}}
        asked = (await ada.request("tools/call", drop))["result"]
        assert asked["resultType"] == "input_required"
        (name,) = asked["inputRequests"]
        yes = {
            **drop,
            "requestState": asked["requestState"],
            "inputResponses": {name: {"action": "accept", "content": {}}},
        }
        stolen = await ben.post(ben.message("tools/call", yes))
        assert "error" in stolen.json(), stolen.text
        assert await ben.rows("SELECT a FROM kept") == [[1]]
        assert not (await ada.request("tools/call", yes))["result"]["isError"]


async def test_a_message_that_is_none_costs_only_itself(served: Any) -> None:
    for transport in TRANSPORTS:
        async with caller_on(transport, served.gateway.url, served.ben) as caller:
            path = caller.posts_to if isinstance(caller, SseCaller) else "/mcp"
            headers = {} if isinstance(caller, SseCaller) else caller.headers(caller.message("tools/list"))
            headers["content-type"] = "application/json"
            for content in (b"{oops", b"[]", b"\xff\xfe", b'{"id":1}'):
                answer = await caller.http.post(path, content=content, headers=headers)
                assert answer.status_code == 400, (transport, content, answer.text)
            assert await caller.rows("SELECT 1") == [[1]]


async def test_a_revoked_token_ends_streams_and_calls_that_are_open(served: Any, home: Path) -> None:
    made = await asyncio.to_thread(run_agentdb, home, "token", "create", "--workspace", "http-ada")
    token = made.stdout.strip()
    url = served.gateway.url
    async with (
        Caller(url, token, "modern") as caller,
        Caller(url, token, "legacy") as older,
        SseCaller(url, token) as listening,
    ):
        _, answer = await caller.start(ENDLESS)
        older_id, older_answer = await older.start(ENDLESS)
        assert await caller.rows("SELECT 1") == [[1]]
        assert await older.rows("SELECT 1") == [[1]]
        revoked = await asyncio.to_thread(run_agentdb, home, "token", "revoke", token[4:20])
        assert revoked.returncode == 0, revoked.stderr
        await listening.ended()
        error = (await asyncio.wait_for(answer, 30))["error"]["data"]
        assert (error["code"], error["message"]) == ("not_authenticated", "This token was revoked.")
        last = await asyncio.wait_for(older_answer, 30)
        assert (last["id"], last["error"]["data"]) == (older_id, error), "a stream's last event says it"
        assert (await caller.post(caller.message("tools/list"))).status_code == 401
    assert token not in served.gateway.stderr
    listed = await asyncio.to_thread(run_agentdb, home, "token", "list", "--workspace", "http-ada")
    states = {line.split()[0]: line.split()[1] for line in listed.stdout.splitlines()}
    assert states[token[4:20]] == "revoked"
    assert sorted(states.values()) == ["expired", "revoked", "valid"]
    assert token[21:] not in listed.stdout


async def test_sixty_four_callers_of_one_workspace_all_get_an_answer(served: Any) -> None:
    async with Caller(served.gateway.url, served.ben, "modern") as caller:
        calls = [
            caller.request("tools/call", query("SELECT $1::int", params=[number])) for number in range(64)
        ]
        for number, answer in enumerate(await asyncio.gather(*calls)):
            content = answer["result"]["structuredContent"]
            assert content.get("rows") == [[number]] or content["error"]["code"] == "rate_limited"


def peak_of(pid: int) -> int:
    """The most memory it ever had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def test_clients_that_read_nothing_cost_bounded_memory_and_hold_nobody_up(
    served: Any, record_property: Any
) -> None:
    url, pid = served.gateway.url, served.gateway.process.pid
    address = url.removeprefix("http://").split(":")
    async with Caller(url, served.ada, "modern") as caller, AsyncExitStack() as connections:
        await caller.rows("SELECT repeat('x', 900000)")
        before = peak_of(pid)
        wide = caller.http.build_request(
            "POST",
            "/mcp",
            json=(message := caller.message("tools/call", query("SELECT repeat('x', 900000)"))),
            headers=caller.headers(message),
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in wide.headers.items())
        raw = f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + wide.content

        async def is_refused_after_one_more() -> bool:
            deaf = connections.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            await asyncio.to_thread(deaf.connect, (address[0], int(address[1])))
            deaf.sendall(raw)
            answer = await caller.post(caller.message("tools/call", query("SELECT 1")))
            return answer.status_code == 429

        await until(is_refused_after_one_more, seconds=180)
        async with Caller(url, served.ben, "modern") as other:
            assert await other.rows("SELECT 1") == [[1]]
        record_property("MB", peak_of(pid) - before)
        assert peak_of(pid) - before < 700
        await connections.aclose()

        async def is_served() -> bool:
            answer = await caller.post(caller.message("tools/call", query("SELECT 1")))
            return answer.status_code == 200

        await until(is_served, seconds=60)
        assert await caller.rows("SELECT 1") == [[1]]


async def test_half_sent_requests_of_one_agent_hold_bounded_memory_and_a_strangers_none(
    served: Any, record_property: Any
) -> None:
    url, pid = served.gateway.url, served.gateway.process.pid
    where = (url.removeprefix("http://").split(":")[0], int(url.rpartition(":")[2]))

    def half_sent(token: str) -> socket.socket:
        """Nearly the whole of a request as large as it may be, as far as that is taken."""
        opened = socket.create_connection(where, 60)
        head = f"POST /mcp HTTP/1.1\r\nHost: {where[0]}\r\nAuthorization: Bearer {token}\r\n"
        opened.sendall(f"{head}Content-Length: {MOST_BODY}\r\n\r\n".encode())
        with suppress(OSError):
            opened.sendall(bytes(MOST_BODY - 1))
        return opened

    async with Caller(url, served.ada, "modern") as ada:
        await ada.rows("SELECT 1")
    with ExitStack() as connections:
        before = peak_of(pid)
        for _ in range(8):
            stranger = connections.enter_context(await asyncio.to_thread(half_sent, served.expired))
            assert (await asyncio.to_thread(stranger.recv, 12)) == b"HTTP/1.1 401"
        assert peak_of(pid) - before < 32
        for _ in range(MOST_OF_ONE // (MOST_BODY - FREE)):
            connections.enter_context(await asyncio.to_thread(half_sent, served.ada))

        async def one_more_is_refused() -> bool:
            caller = connections.enter_context(await asyncio.to_thread(half_sent, served.ada))
            caller.settimeout(5)
            with suppress(TimeoutError):
                return await asyncio.to_thread(caller.recv, 12) == b"HTTP/1.1 429"
            return False

        await until(one_more_is_refused, seconds=120)
        record_property("MB", peak_of(pid) - before)
        assert peak_of(pid) - before < 2 * MOST_OF_ONE >> 20
        async with Caller(url, served.ada, "modern") as ada, Caller(url, served.ben, "modern") as ben:
            assert await ada.rows("SELECT 1") == [[1]], "what is small finds room"
            assert await ben.rows("SELECT length($1)", params=["y" * 10**6]) == [[10**6]]


def test_an_address_that_others_reach_needs_names(home: Path) -> None:
    refused = run_agentdb(home, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "AGENTDB_HTTP_ALLOWED_HOSTS" in refused.stderr
    assert "Traceback" not in refused.stderr
