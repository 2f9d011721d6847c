"""Neon's own command line and SDKs, unmodified, live a whole life against the stand-in."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.account import ORG_ID
from agentdb_mcp.fake_neon.faults import Fault
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from conformance.neon_tools import MODULES, TOOLS
from support.postgres import connected

SDK = """
import { createNeonClient } from "@neon/sdk";
const [url, key, org] = process.argv.slice(2);
const wait = { pollIntervalMs: 50, timeoutMs: 20000 };
const neon = createNeonClient({ apiKey: key, baseUrl: url, orgId: org, throwOnError: true, wait });
const made = await neon.projects.createAndConnect({ name: "by the sdk", pooled: false });
const id = made.project.id;
const found = await neon.projects.get({ projectId: id });
const missing = await neon.projects.get({ projectId: "cold-bonus-00000000" }, { throwOnError: false });
await neon.projects.delete({ projectId: id });
const gone = await neon.projects.get({ projectId: id }, { throwOnError: false });
const kinds = [missing.error.kind, gone.error.kind];
console.log(JSON.stringify({ name: found.name, uri: made.connectionString, kinds }));
"""

API_CLIENT = """
const { createApiClient } = require("@neondatabase/api-client");
(async () => {
  const [url, key] = process.argv.slice(2);
  const api = createApiClient({ apiKey: key, baseURL: url });
  const made = (await api.createProject({ project: { name: "by the client", pg_version: 17 } })).data;
  const id = made.project.id;
  for (;;) {
    const { data } = await api.listProjectOperations({ projectId: id });
    if (data.operations.every((each) => each.status === "finished")) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const endpoints = (await api.listProjectEndpoints(id)).data.endpoints;
  await api.updateProjectEndpoint(id, endpoints[0].id, { endpoint: { disabled: true } });
  const disabled = (await api.getProjectEndpoint(id, endpoints[0].id)).data.endpoint.disabled;
  const names = (await api.listProjects({ search: "client" })).data.projects.map((each) => each.name);
  const uri = made.connection_uris[0].connection_uri;
  let refused = 0;
  await api.getProject("cold-bonus-00000000").catch((error) => { refused = error.response.status; });
  console.log(JSON.stringify({ id, names, disabled, uri, refused }));
})();
"""


@pytest.fixture
async def fake(admin_uri: ConnectionUri) -> AsyncIterator[FakeNeon]:
    fake = await FakeNeon(admin_uri).start()
    fake.account.traits.operation_seconds = 0.2
    yield fake
    await fake.forget()
    await fake.close()


async def run(*command: str, home: Path) -> str:
    environment = {**os.environ, "HOME": str(home), "NO_PROXY": "127.0.0.1", "CI": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=TOOLS, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def neonctl(fake: FakeNeon, home: Path, *arguments: str) -> Any:
    options = ("--api-host", fake.api_url, "--api-key", API_KEY, "--no-analytics", "--config-dir", str(home))
    out = await run(str(MODULES / ".bin" / "neonctl"), *options, "--output", "json", *arguments, home=home)
    return json.loads(out) if out.lstrip().startswith(("{", "[")) else out.strip()


async def test_neons_command_line_makes_reaches_and_deletes_a_project(fake: FakeNeon, tmp_path: Path) -> None:
    made = (await neonctl(fake, tmp_path, "projects", "create", "--name", "by hand"))["project"]
    chosen = ("--project-id", made["id"])
    assert (made["name"], made["org_id"]) == ("by hand", ORG_ID)
    listed = await neonctl(fake, tmp_path, "projects", "list")
    assert [each["id"] for each in listed["projects"]] == [made["id"]]
    assert (await neonctl(fake, tmp_path, "projects", "get", made["id"]))["id"] == made["id"]
    assert [each["name"] for each in await neonctl(fake, tmp_path, "branches", "list", *chosen)] == ["main"]
    assert [each["name"] for each in await neonctl(fake, tmp_path, "roles", "list", *chosen)] == [
        "neondb_owner"
    ]
    assert [each["name"] for each in await neonctl(fake, tmp_path, "databases", "list", *chosen)] == [
        "neondb"
    ]
    operations = await neonctl(fake, tmp_path, "operations", "list", *chosen)
    assert {each["action"] for each in operations} == {"create_timeline", "start_compute"}
    assert (await neonctl(fake, tmp_path, "me"))["plan"] == "agent"
    assert [each["id"] for each in await neonctl(fake, tmp_path, "orgs", "list")] == [ORG_ID]
    async with connected(
        ConnectionUri(await neonctl(fake, tmp_path, "connection-string", *chosen))
    ) as session:
        assert await session.fetchval("SELECT 1") == 1
    await neonctl(fake, tmp_path, "projects", "delete", made["id"])
    assert (await neonctl(fake, tmp_path, "projects", "list"))["projects"] == []


async def test_neons_api_client_works_unmodified(fake: FakeNeon, tmp_path: Path) -> None:
    script = TOOLS / "client.cjs"
    script.write_text(API_CLIENT)
    said = json.loads(await run("node", str(script), fake.api_url, API_KEY, home=tmp_path))
    assert said["names"] == ["by the client"]
    assert said["disabled"] is True
    assert said["refused"] == 404
    assert said["uri"].endswith("?sslmode=require&channel_binding=require")
    assert fake.account.project(said["id"]).endpoints


async def test_neons_sdk_works_unmodified(fake: FakeNeon, tmp_path: Path) -> None:
    script = TOOLS / "sdk.mjs"
    script.write_text(SDK)
    # Twice busy at first: the SDK tries again by itself.
    fake.faults.add(Fault.BUSY, method="POST", times=2)
    said = json.loads(await run("node", str(script), fake.api_url, API_KEY, ORG_ID, home=tmp_path))
    assert said["name"] == "by the sdk"
    assert said["uri"].endswith("?sslmode=require&channel_binding=require")
    assert said["kinds"] == ["not_found", "not_found"]
    assert fake.account.live() == []
