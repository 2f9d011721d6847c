"""Where the demo's databases come from: the home's own PostgreSQL, or Neon, played by the stand-in."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agentdb_mcp.fake_neon.account import Account
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.providers.embedded import EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class Cloud:
    """What the processes are told, and what Neon would show in its console."""

    operator: Mapping[str, str]
    """Settings of the process that makes databases."""
    agents: Mapping[str, str]
    """Settings of the servers of agents: never a key."""
    secrets: tuple[str, ...]
    account: Account | None
    """Neon's own view; None without Neon."""


NONE = Cloud({}, {}, (), None)


@asynccontextmanager
async def neon(home: Path) -> AsyncGenerator[Cloud]:
    """A real HTTP server with Neon's API over the PostgreSQL of that home; it is gone at the end."""
    postgres = await EmbeddedPostgres.open(home)
    fake = await FakeNeon(postgres.admin_uri).start()
    chosen = {"AGENTDB_PROVIDER": "neon"}
    operator = {**chosen, "NEON_API_KEY": API_KEY, "AGENTDB_NEON_API_URL": fake.api_url}
    try:
        yield Cloud(operator, chosen, (API_KEY,), fake.account)
    finally:
        await fake.close()
        await postgres.close()
