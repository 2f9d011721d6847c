"""A Neon of the test's own, in a time of its own, and our provider in front of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.rates import Rate
from agentdb_mcp.core.secrets import ApiKey, ConnectionUri
from agentdb_mcp.fake_neon.clock import ManualClock
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.fake_neon.states import Project
from agentdb_mcp.providers.neon import NeonProvider, OnRecord
from agentdb_mcp.providers.neon_api import NeonApi
from agentdb_mcp.providers.neon_http import NeonHttp
from agentdb_mcp.providers.neon_rate import Turns
from support.postgres import run_sql


class Impatient(httpx.AsyncHTTPTransport):
    """Gives up on an answer when the stand-in keeps it back, and not before, however slow the machine is."""

    def __init__(self, fake: FakeNeon) -> None:
        super().__init__()
        self._withheld = fake.withheld

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._withheld.clear()
        answer = asyncio.ensure_future(super().handle_async_request(request))
        withheld = asyncio.ensure_future(self._withheld.wait())
        try:
            await asyncio.wait((answer, withheld), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise httpx.ReadTimeout("kept back", request=request)
        finally:
            for each in (answer, withheld):
                each.cancel()
            await asyncio.gather(answer, withheld, return_exceptions=True)


class Halting(httpx.AsyncHTTPTransport):
    """Stops at the request after so many others, before it is sent or when its answer is there, until told to
    go on.
    """

    def __init__(self, point: int, *, sent: bool) -> None:
        super().__init__()
        self._left = point
        self._sent = sent
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_here, self._left = self._left == 0, self._left - 1
        if is_here and not self._sent:
            await self._halt()
        response = await super().handle_async_request(request)
        if is_here and self._sent:
            await self._halt()
        return response

    async def _halt(self) -> None:
        self.reached.set()
        await self.go_on.wait()


class Unrationed:
    """Where there is no control plane to share a rate through: every turn is now."""

    async def take_turn(self, rate: Rate, *, patience: float) -> float | None:  # noqa: ARG002 - the protocol's
        return 0.0

    async def hold_turns(self, rate: Rate, seconds: float) -> None:
        """Nobody else asks."""


class RationedClock(ManualClock):
    """A time in which the control plane's turns come nearer as well, by whatever is slept."""

    def __init__(self, control: ConnectionUri) -> None:
        super().__init__()
        self._control = control

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await run_sql(
            self._control, f"UPDATE rate_budget SET next_at = next_at - make_interval(secs => {seconds})"
        )


UNRATIONED = Unrationed()


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
        self,
        *,
        org_id: str | None = None,
        key: str = API_KEY,
        patient: bool = True,
        turns: Turns = UNRATIONED,
        transport: httpx.AsyncBaseTransport | None = None,
        on_record_of_others: OnRecord | None = None,
    ) -> AsyncIterator[NeonProvider]:
        """Another process' provider, so to say."""
        http = new_http(self.fake, self.clock, key, turns=turns, patient=patient, transport=transport)
        provider = NeonProvider(
            NeonApi(http, org_id=org_id, sleep=self.clock.sleep, monotonic=self.clock.monotonic),
            clock=self.clock,
            on_record_of_others=on_record_of_others,
        )
        try:
            yield provider
        finally:
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
async def neon_at(
    admin_uri: ConnectionUri, *, turns: Turns = UNRATIONED, clock: ManualClock | None = None
) -> AsyncIterator[Neon]:
    clock = clock or ManualClock()
    fake = await FakeNeon(admin_uri, clock=clock).start()
    http = new_http(fake, clock, turns=turns)
    api = NeonApi(http, sleep=clock.sleep, monotonic=clock.monotonic)
    try:
        yield Neon(fake, clock, http, api, NeonProvider(api, clock=clock))
    finally:
        await http.close()
        await fake.forget()
        await fake.close()


def new_http(
    fake: FakeNeon,
    clock: ManualClock,
    key: str = API_KEY,
    *,
    turns: Turns = UNRATIONED,
    patient: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
) -> NeonHttp:
    return NeonHttp(
        ApiKey(key),
        turns,
        base_url=fake.api_url,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        transport=transport or (None if patient else Impatient(fake)),
    )


def neon_spec(plan: str = "free") -> DatabaseSpec:
    """A database nobody has made yet."""
    return DatabaseSpec(DatabaseId(str(uuid.uuid4())), Kind.AGENT, plan)
