"""schemathesis, driven by Neon's OpenAPI file, against the stand-in: what it answers is what the file says."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.fake_neon.routes import ROUTES
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from conformance.neon_tools import SCHEMATHESIS, TOOLS, narrowed

NOT_PROMISED = "positive_data_acceptance"
"""Neon, too, refuses what its file allows: regions, ranges of time, an empty name of a database."""


DESTRUCTIVE = {
    "/projects/{project_id}": ["DELETE"],
    "/projects/{project_id}/endpoints/{endpoint_id}": ["DELETE"],
}
"""Not sent to the one project that everything else is sent to."""


async def made(fake: FakeNeon) -> dict[str, str]:
    """One project's ids, by the name of the parameter they belong to."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=fake.api_url, headers=headers, trust_env=False) as client:
        body = (await client.post("/projects", json={"project": {}})).json()
    return {
        "project_id": body["project"]["id"],
        "branch_id": body["branch"]["id"],
        "endpoint_id": body["endpoints"][0]["id"],
        "operation_id": body["operations"][0]["id"],
        "role_name": "neondb_owner",
    }


async def fuzzed(
    fake: FakeNeon, operations: dict[str, list[str]], ids: dict[str, str], *unchecked: str
) -> tuple[int, str]:
    configuration = TOOLS / "schemathesis.toml"
    lines = [f'"path.{name}" = "{value}"' for name, value in ids.items()]
    configuration.write_text("\n".join(["[parameters]", *lines, ""]))
    command = [
        str(SCHEMATHESIS), "--config-file", str(configuration), "run", str(narrowed(operations)),
        "--url", fake.api_url, "--header", f"Authorization: Bearer {API_KEY}", "--no-color", "--seed", "1",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--exclude-checks", ",".join([NOT_PROMISED, *unchecked]),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=TOOLS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 540)
    return process.returncode or 0, output.decode()


@pytest.fixture
async def fake(admin_uri: ConnectionUri) -> AsyncIterator[FakeNeon]:
    fake = await FakeNeon(admin_uri).start()
    # Operations take no time here, or nearly every change would be answered with 423.
    fake.account.traits.operation_seconds = 0
    yield fake
    await fake.forget()
    await fake.close()


async def test_answers_about_anything_are_as_neons_file_says(fake: FakeNeon) -> None:
    code, said = await fuzzed(fake, {path: list(methods) for path, methods in ROUTES.items()}, {})
    print("\n".join(said.splitlines()[-12:]))
    assert code == 0, said


async def test_answers_about_one_project_are_as_neons_file_says(fake: FakeNeon) -> None:
    kept = {
        path: [method for method in methods if method not in DESTRUCTIVE.get(path, [])]
        for path, methods in ROUTES.items()
        if "{project_id}" in path
    }
    # What is left out here is still there, and said so.
    code, said = await fuzzed(fake, kept, await made(fake), "unsupported_method", "allow_header_conformance")
    print("\n".join(said.splitlines()[-12:]))
    assert code == 0, said
