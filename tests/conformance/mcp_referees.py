"""MCP's referees and independent clients, unmodified, judge `agentdb serve` and `agentdb mcp` as they are run.

What they find that is not ours to mend stands here by name, and in docs/reference/mcp.md with its reason.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentdb_mcp.app import open_app
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.settings import Settings
from conformance.mcp_expected import NO_AUTHORIZATION_SERVER, NOT_FOR_US
from conformance.mcp_proxy import showing
from support.gateways import Gateway
from support.hosts import environment

TOOLS = Path(os.environ.get("MCP_TOOLS", Path(__file__).parents[2] / ".conformance"))
PYTHON_TOOLS = TOOLS / "mcp-venv" / "bin"
NODE_TOOLS = TOOLS / "mcp"

CLIENTS = """
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as Older } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
const [url, token] = process.argv.slice(2);
const metadata = { client_name: "test", redirect_uris: ["http://127.0.0.1:1/"] };
const signIn = {
  redirectUrl: metadata.redirect_uris[0], clientMetadata: metadata, clientInformation: () => undefined,
  tokens: () => undefined, saveCodeVerifier() {}, codeVerifier: () => "", redirectToAuthorization() {},
  saveClientInformation() {}, saveTokens() {},
};
const shows = (text) => ({ requestInit: { headers: { Authorization: `Bearer ${text}` } } });
for (const [Kind, Transport] of [[Client, StreamableHTTPClientTransport], [Older, OlderTransport]]) {
  const tried = async (options) => {
    const client = new Kind({ name: "test", version: "1" });
    try {
      await client.connect(new Transport(new URL(url), options));
      const tools = (await client.listTools()).tools.length;
      const read = await client.readResource({ uri: "agentdb://agent/tables" });
      const rows = (await client.callTool({ name: "query", arguments: { sql: "SELECT 7" } })).structuredContent.rows;
      return { tools, rows, text: read.contents[0].text };
    } catch (error) { return error.message; } finally { await client.close(); }
  };
  const said = { works: await tried(shows(token)), wrong: await tried(shows("hunter2")) };
  console.log(JSON.stringify({ ...said, none: await tried({}), signIn: await tried({ authProvider: signIn }) }));
}
"""


@dataclass(frozen=True)
class Served:
    """A gateway, its home, and the token of an agent."""

    gateway: Gateway
    home: Path
    token: str


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    home = Path(tempfile.mkdtemp(prefix="agentdb-test-"))
    home.chmod(0o711)
    token = asyncio.run(_token(home))
    with Gateway(home, "--sse") as gateway:
        yield Served(gateway, home, token)
    shutil.rmtree(home)


async def _token(home: Path) -> str:
    async with open_app(Settings.model_validate({"AGENTDB_HOME": home})) as app:
        await app.lifecycle.register_user(UserId("ada"))
        await app.lifecycle.create_workspace(WorkspaceId("place"), UserId("ada"))
        return (await app.tokens.create_for_agent(WorkspaceId("place"))).text.reveal()


def run(*command: Path | str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        cwd=NODE_TOOLS,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_the_official_suite_finds_nothing_but_what_is_not_for_us(
    served: Served, tmp_path: Path, revision: str
) -> None:
    suite = NODE_TOOLS / "node_modules" / ".bin" / "conformance"
    with showing(served.token, int(served.gateway.url.rpartition(":")[2])) as port:
        url = f"http://127.0.0.1:{port}/mcp"
        judged = run(suite, "server", "--url", url, "--requirements", revision, "-o", tmp_path)
    checks = [
        (path.parent.name.removeprefix("server-").partition("-2026-")[0], check)
        for path in tmp_path.glob("*/checks.json")
        for check in json.loads(path.read_text())
    ]
    assert sum(check["status"] == "SUCCESS" for _, check in checks) > 40, judged.stdout
    failed = {
        (scenario, check["id"]): check.get("errorMessage")
        for scenario, check in checks
        if check["status"] == "FAILURE" and scenario not in NOT_FOR_US[revision]
    }
    assert not {key: why for key, why in failed.items() if f"{key[0]}: {key[1]}" not in NOT_FOR_US[revision]}


def test_mcpcheck_finds_nothing(served: Served) -> None:
    url = f"{served.gateway.url}/mcp"
    asked = ("--legacy-probes", "--probe", "all", "--strict", "--no-color", url)
    judged = run(PYTHON_TOOLS / "mcpcheck", *asked, MCPCHECK_TOKEN=served.token)
    assert judged.returncode == 0, judged.stdout
    assert "All 8 checks passed" in judged.stdout


def test_authlab_misses_only_an_authorization_server(served: Served, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    tokens = ("--token", served.token, "--foreign-token", f"adb_{'0' * 16}_{'A' * 43}")
    scan = ("scan", *tokens, "--no-login", "--format", "json", "-o", report)
    run(PYTHON_TOOLS / "mcp-authlab", *scan, f"{served.gateway.url}/mcp")
    found = {each["id"]: each["status"] for each in json.loads(report.read_text())["results"]}
    assert {name for name, status in found.items() if status == "fail"} == NO_AUTHORIZATION_SERVER
    assert {name for name, status in found.items() if status == "warn"} == {"TLS-01"}, "here it is loopback"


def test_mcp_conform_finds_nothing_over_stdio(served: Served) -> None:
    command = f"{sys.executable} -m agentdb_mcp mcp --workspace place"
    how = ("server", "--transport", "stdio", "--timeout", "60", "--command", command)
    judged = run(PYTHON_TOOLS / "mcp-conform", *how, **environment(served.home))
    assert "Result: PASS" in judged.stdout, judged.stdout


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_speaks_with_every_transport(served: Served, era: str) -> None:
    inspector = NODE_TOOLS / "node_modules" / ".bin" / "mcp-inspector"
    url, header = served.gateway.url, f"Authorization: Bearer {served.token}"
    stdio = (sys.executable, "-m", "agentdb_mcp", "mcp", "--workspace", "place")
    ways: list[tuple[str, ...]] = [
        ("--server-url", f"{url}/mcp", "--transport", "http", "--header", header),
        ("-e", f"AGENTDB_HOME={served.home}", *stdio),
    ]
    if era == "legacy":
        ways.append(("--server-url", f"{url}/sse", "--transport", "sse", "--header", header))
    calls: dict[str, tuple[str, ...]] = {
        "tools/list": ("--strict",),
        "tools/call": ("--tool-name", "query", "--tool-arg", "sql=SELECT 7"),
    }
    for way in ways:
        for method, more in calls.items():
            asked = ("--cli", "--protocol-era", era, "--format", "json", "-q", "--method", method, *more)
            answer = run(inspector, *asked, *way)
            assert answer.returncode == 0, (way[:2], method, answer.stderr)
            assert "0 errors, 0 warnings" in answer.stderr or "Warning" not in answer.stderr, answer.stderr
            result: dict[str, Any] = json.loads(answer.stdout)["result"]
            assert len(result["tools"]) == 9 if method == "tools/list" else not result["isError"]


def test_the_typescript_clients_work_and_show_why_when_they_are_not_let_in(served: Served) -> None:
    script = NODE_TOOLS / "clients.mjs"
    script.write_text(CLIENTS)
    answer = run("node", script, f"{served.gateway.url}/mcp", served.token)
    assert answer.returncode == 0, answer.stderr
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert len(lines) == 2
    for said in lines:
        assert said["works"] == {"tools": 9, "rows": [[7]], "text": "agent: 0 tables"}
        assert "This is no token of this server." in said["wrong"]
        assert "Authorization: Bearer adb_" in said["none"]
        assert "agentdb token create" in said["signIn"]
