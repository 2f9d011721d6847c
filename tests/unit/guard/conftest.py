"""The shipped policies, and a guard for each test."""

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, Policy, load_policies


@pytest.fixture(scope="session")
def policies() -> dict[str, Policy]:
    return load_policies(assets.folder("policies"))


@pytest.fixture(scope="session")
def agent(policies) -> Policy:
    return policies["agent"]


@pytest.fixture
def guard() -> Guard:
    return Guard()
