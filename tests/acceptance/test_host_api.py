"""A host's life over HTTP: `agentdb serve-hosts` as a process, spoken to as a host would."""

import json
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from agentdb_mcp import dsn
from support.commands import Cli
from support.gateways import Gateway, bearer
from support.hosts import Host


@pytest.fixture(scope="module")
def gateway(home: Path) -> Iterator[Gateway]:
    with Gateway(home, serve="serve-hosts") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def token(agentdb: Cli) -> str:
    return agentdb("token", "create", "--scope", "lifecycle").stdout.strip()


class Client:
    """One host."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self._http = httpx.Client(base_url=gateway.url, headers=bearer(token), timeout=60, trust_env=False)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        return self._http.request(method, f"/api/{path}", content=content, headers=named)

    def done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self(method, path, body, **headers)
        assert answer.status_code in {200, 201}, answer.text
        assert "postgresql://" not in answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        answer = self(method, path, body, **headers)
        assert answer.status_code >= 400, answer.text
        assert answer.headers["content-type"] == "application/json", (path, answer.text)
        of_commands = re.search(r"--[a-z]|`?agentdb [a-z]|AGENTDB_", answer.text)
        assert answer.status_code == 401 or not of_commands, "a host makes calls, not commands"
        return answer.status_code, answer.json()["error"]["code"]

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def host(gateway: Gateway, token: str) -> Iterator[Client]:
    client = Client(gateway, token)
    yield client
    client.close()


@pytest.fixture
def names() -> tuple[str, str, str]:
    end = uuid.uuid4().hex[:8]
    return f"ada-{end}", f"ben-{end}", f"place-{end}"


def test_the_life_of_a_workspace(
    host: Client, home: Path, names: tuple[str, str, str], agentdb: Cli, gateway: Gateway
) -> None:
    ada, ben, place = names
    made = host.done("PUT", f"users/{ada}", {"plan": "pro"})
    assert (made["kind"], made["wanted"], made["pending"]) == ("global", "active", None)
    assert host.done("PUT", f"users/{ada}")["id"] == made["id"]
    host.done("PUT", f"users/{ben}", {})
    agent = host.done("PUT", f"workspaces/{place}", {"user": ada, "name": "A place"})
    assert host.done("GET", f"workspaces/{place}/environment") == {
        "GLOBAL_DB_URL": "${GLOBAL_DB_URL}",
        "AGENT_DB_URL": "${AGENT_DB_URL}",
    }
    with Host(home, "--workspace", place) as server:
        assert not server.call("execute_ddl", sql="CREATE TABLE kept (n int)")["isError"]
        assert host.done("POST", f"databases/{agent['id']}/pause")["wanted"] == "paused"
        assert server.error("query", sql="SELECT 1")["code"] == "database_paused"
        host.done("POST", f"databases/{agent['id']}/resume")
        assert server.rows("SELECT count(*) FROM kept") == [[0]]
        host.done("POST", f"workspaces/{place}/archive", {"user": ada})
        assert server.error("query", sql="SELECT 1")["code"] == "database_paused"
        host.done("POST", f"workspaces/{place}/restore", {"user": ada})
        host.done("POST", f"databases/{agent['id']}/mend")
        assert server.rows("SELECT count(*) FROM kept") == [[0]]
    host.done("POST", f"users/{ada}/plan", {"plan": "team"})
    host.done("POST", f"workspaces/{place}/transfer", {"user": ada, "to": ben})
    rows = host.done("GET", f"users/{ben}/databases")["databases"]
    assert {row["workspace"] for row in rows} == {None, place}
    token = host.done("POST", f"workspaces/{place}/tokens", {"days": 1, "label": "its agent"})
    assert token["token"].startswith("adb_")
    assert host.done("DELETE", f"tokens/{token['id']}") == {"revoked": True}
    assert host.done("POST", f"databases/{agent['id']}/protect")["protected"]
    assert host.refused("DELETE", f"workspaces/{place}?user={ben}") == (403, "database_protected")
    assert not host.done("POST", f"databases/{agent['id']}/unprotect")["protected"]
    assert host.done("DELETE", f"workspaces/{place}?user={ben}")["deleted"]
    assert host.refused("POST", f"databases/{agent['id']}/undelete")[0] == 404, "nothing keeps it here"
    for user in (ada, ben):
        assert host.done("DELETE", f"users/{user}")["deleted"]
    exported = agentdb("audit", "export", "--user", ben)
    assert '"host:' in exported.stdout, exported.stderr
    trail = exported.stdout
    assert "adb_" not in trail + gateway.stderr


def test_a_call_with_a_key_counts_once_however_late_it_is_repeated(
    host: Client, names: tuple[str, str, str]
) -> None:
    ada, _, place = names
    host.done("PUT", f"users/{ada}")
    key = uuid.uuid4().hex
    made = host("PUT", f"workspaces/{place}", {"user": ada}, idempotency_key=key)
    assert "idempotency-replayed" not in made.headers
    assert host.done("DELETE", f"workspaces/{place}?user={ada}")["deleted"]
    again = host("PUT", f"workspaces/{place}", {"user": ada}, idempotency_key=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == made.json()
    rows = host.done("GET", f"users/{ada}/databases")["databases"]
    assert [row["wanted"] for row in rows if row["workspace"] == place] == ["deleted"]
    assert host.refused("PUT", f"workspaces/{place}-2", {"user": ada}, idempotency_key=key) == (
        422,
        "idempotency_conflict",
    )
    # What failed may be tried again under its key.
    key = uuid.uuid4().hex
    assert host.refused("PUT", f"workspaces/{place}-3", {"user": "nobody"}, idempotency_key=key)[0] == 404
    assert host.refused("PUT", f"workspaces/{place}-3", {"user": "nobody"}, idempotency_key=key)[0] == 404
    assert host.refused("PUT", f"users/{ada}", {}, idempotency_key="x" * 201) == (400, "bad_argument")
    host.done("DELETE", f"users/{ada}")


async def test_uris_are_opened_only_for_a_token_made_for_that_and_it_is_written_down(
    host: Client, gateway: Gateway, names: tuple[str, str, str], agentdb: Cli
) -> None:
    ada, _, place = names
    host.done("PUT", f"users/{ada}")
    agent = host.done("PUT", f"workspaces/{place}", {"user": ada})
    path = f"workspaces/{place}/environment/revealed"
    assert host.refused("GET", path) == (403, "forbidden")
    opener = Client(gateway, agentdb("token", "create", "--scope", "reveal").stdout.strip())
    assert opener.refused("GET", f"users/{ada}/databases") == (403, "forbidden")
    opened = opener("GET", path).json()
    assert set(opened) == {"GLOBAL_DB_URL", "AGENT_DB_URL"}
    for uri in opened.values():
        connection = await asyncpg.connect(**dsn.arguments(uri))
        assert (await connection.fetchval("SELECT current_user")).startswith("w_"), "never the owner's"
        await connection.close()
    host.done("POST", f"databases/{agent['id']}/pause")
    assert opener.refused("GET", path) == (403, "database_paused")
    assert opener.refused("GET", "workspaces/nowhere/environment/revealed") == (404, "workspace_not_found")
    opener.close()
    trail = agentdb("audit", "export", "--user", ada).stdout
    assert "reveal" in trail
    assert "postgresql://" not in trail + gateway.stderr
    host.done("DELETE", f"users/{ada}")


def status_and_body(gateway: Gateway, token: str, line: bytes) -> tuple[int, bytes]:
    """Of a request as it stands: clients mend addresses."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as connection:
        head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        connection.sendall(line + b" HTTP/1.1\r\n" + head.encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


def test_an_id_in_an_address_is_taken_exactly_or_not_at_all(
    host: Client, gateway: Gateway, token: str, names: tuple[str, str, str]
) -> None:
    ada = names[0]
    taken = {f"{ada}%25ff": f"{ada}%ff", f"{ada}%252F": f"{ada}%2F", f"{ada}%C3%A9%20+": f"{ada}é +"}
    for address, user in taken.items():
        made = host.done("PUT", f"users/{address}")
        (row,) = host.done("GET", f"users/{address}/databases")["databases"]
        assert (row["id"], row["user"]) == (made["id"], user)
        host.done("DELETE", f"users/{address}")
    for written, why in (
        (b"%FF", b"UTF-8"),
        (b"%C0%AF", b"UTF-8"),
        (b"%ED%A0%80", b"UTF-8"),
        (b"%F5%80%80%80", b"UTF-8"),
        (b"%C3", b"UTF-8"),
        (b"%2F", b"slash"),
        (b"a%2fplan", b"slash"),
        (b"%zz", b"%25"),
        (b"%", b"%25"),
        (b"%2e%2E", b"dots"),
        (b"%00", b"character"),
        (b"a%00b", b"character"),
    ):
        for line in (
            b"PUT /api/users/" + written,
            b"POST /api/databases/" + written + b"/pause",
            b"GET /api/workspaces/" + written + b"/environment",
            b"DELETE /api/tokens/" + written,
        ):
            status, body = status_and_body(gateway, token, line)
            assert (status, json.loads(body)["error"]["code"]) == (400, "bad_argument"), (line, status, body)
            assert why in body, (line, body)
    for query in (b"user=%FF", b"user=%C0%AF", b"user=%"):
        status, body = status_and_body(gateway, token, b"DELETE /api/workspaces/w?" + query)
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_argument"), body


def test_what_does_not_fit_is_refused_in_words(host: Client, gateway: Gateway, token: str) -> None:
    assert host.refused("PUT", "users/u", {"plan": "gold"}) == (400, "bad_argument")
    assert host.refused("PUT", "users/u", {"paln": "pro"}) == (400, "bad_argument")
    assert host.refused("PUT", "workspaces/w", {}) == (400, "bad_argument")
    assert host.refused("POST", "databases/none/pause") == (404, "database_not_found")
    assert host.refused("POST", "databases/none/pause", {"why": 1}) == (400, "bad_argument")
    assert host.refused("DELETE", "workspaces/w") == (400, "bad_argument")
    assert host.refused("GET", "nothing/here") == (404, "bad_argument")
    assert host.refused("DELETE", "tokens/0123456789abcdef") == (404, "token_not_found")
    assert host.refused("PUT", "workspaces/w", {"user": "nobody"}) == (404, "user_not_found")
    assert host.refused("POST", "workspaces/none/archive", {"user": "x"}) == (404, "workspace_not_found")
    assert host.refused("POST", "databases/none/mend") == (404, "database_not_found")
    assert host.refused("POST", "databases/none/undelete") == (404, "database_not_found")
    assert host.refused("PUT", "users/a%07b", {}) == (400, "bad_argument")
    stranger = Client(gateway, token[:-1] + ("A" if token[-1] != "A" else "B"))
    assert stranger.refused("GET", "users/u/databases") == (401, "not_authenticated")
    stranger.close()
