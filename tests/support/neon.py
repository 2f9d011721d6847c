"""A Neon of the test's own, in a time of its own, and our provider in front of it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ApiKey, ConnectionUri
from agentdb_mcp.fake_neon.clock import ManualClock
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.fake_neon.states import Project
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.neon_api import NeonApi
from agentdb_mcp.providers.neon_http import NeonHttp

PATIENT_SECONDS, IMPATIENT_SECONDS = 30.0, 0.5
"""How long our client waits for an answer: as it does at work, and where a test withholds one."""


@dataclass(frozen=True, slots=True)
class Neon:
    """What a test works with."""

    fake: FakeNeon
    clock: ManualClock
    http: NeonHttp
    api: NeonApi
    provider: NeonProvider

    @asynccontextmanager
    async def another(
        self, *, org_id: str | None = None, key: str = API_KEY, request_seconds: float = PATIENT_SECONDS
    ) -> AsyncIterator[NeonProvider]:
        """Another process' provider, so to say."""
        http = new_http(self.fake, self.clock, key, request_seconds)
        provider = NeonProvider(
            NeonApi(http, org_id=org_id, sleep=self.clock.sleep, monotonic=self.clock.monotonic)
        )
        yield provider
        await provider.close()

    def projects(self) -> list[Project]:
        """Those that live, and bill."""
        return self.fake.account.live()

    def sent(self, method: str = "") -> list[tuple[str, str]]:
        """The requests since the last call."""
        found = [each for each in self.fake.faults.requests if method in {"", each[0]}]
        self.fake.faults.requests.clear()
        return found


@asynccontextmanager
async def neon_at(admin_uri: ConnectionUri) -> AsyncIterator[Neon]:
    clock = ManualClock()
    fake = await FakeNeon(admin_uri, clock=clock).start()
    http = new_http(fake, clock)
    api = NeonApi(http, sleep=clock.sleep, monotonic=clock.monotonic)
    try:
        yield Neon(fake, clock, http, api, NeonProvider(api))
    finally:
        await http.close()
        await fake.forget()
        await fake.close()


def new_http(
    fake: FakeNeon, clock: ManualClock, key: str = API_KEY, request_seconds: float = PATIENT_SECONDS
) -> NeonHttp:
    return NeonHttp(
        ApiKey(key),
        base_url=fake.api_url,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        request_seconds=request_seconds,
    )


def neon_spec(plan: str = "free") -> DatabaseSpec:
    """A database nobody has made yet."""
    return DatabaseSpec(DatabaseId(str(uuid.uuid4())), Kind.AGENT, plan)
