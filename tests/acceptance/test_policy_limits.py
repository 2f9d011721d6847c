"""A policy's ceiling of time holds under the server's own, for a statement of an agent's."""

import asyncio
import dataclasses
import uuid
from pathlib import Path

import pytest

from agentdb_mcp.core import guard
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.engine import open_tools
from agentdb_mcp.settings import read_settings
from support.commands import Cli

ENDLESS = "SELECT count(*) FROM generate_series(1, 90000) a, generate_series(1, 90000) b, generate_series(1, 90000) c"


def test_a_statement_ends_at_the_policys_ceiling(
    home: Path, agentdb: Cli, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"workspace-{uuid.uuid4().hex[:8]}"
    assert agentdb("workspace", "create", name, "--user", user).returncode == 0
    load = guard.load_policies

    def strict(folder: Path) -> dict[str, guard.Policy]:
        policies = load(folder)
        limits = dataclasses.replace(policies["agent"].limits, statement_timeout_ms=300)
        return {**policies, "agent": dataclasses.replace(policies["agent"], limits=limits)}

    monkeypatch.setattr(guard, "load_policies", strict)

    async def call() -> tuple[bool, str]:
        settings = read_settings({"AGENTDB_HOME": str(home)})
        async with open_tools(settings, WorkspaceId(name), [Kind.AGENT]) as tools:
            answer = await tools.call("query", {"sql": ENDLESS})
            return answer.is_error, answer.text

    is_error, text = asyncio.run(call())
    assert is_error
    assert "query_timeout" in text
    assert "0.3 s" in text
