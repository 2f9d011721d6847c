"""The one door to Neon's HTTP API: budgeted, retried where that is safe, and honest where it is not.

Neon's OpenAPI file (`GeneralError`) promises that nothing was done on 503 and 423 only; 429 is refused before
any work. Other failures leave it open whether a change happened, and its gateway also answers 524, in HTML,
after work that succeeded.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.secrets import ApiKey
from agentdb_mcp.providers.neon_fields import Fields
from agentdb_mcp.providers.neon_rate import CONSUMPTION, REQUESTS, Monotonic, RateBudget, Sleep, Turns
from agentdb_mcp.providers.neon_refusals import OutcomeUnknown, loggable, refusal, unreachable

if TYPE_CHECKING:
    import httpx

BASE_URL: Final = "https://console.neon.tech/api/v2"

REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0

PATIENCE_SECONDS: Final = 30.0
"""How long one call may go on being retried. The reconciler comes again, later and later."""

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0

NOTHING_DONE: Final = frozenset({423, 429, 503})
"""Busy with another operation, too many requests, not available: all three before anything was done."""

EXPECTED: Final = NOTHING_DONE | {404}
"""No reason to tell anybody: it is tried again, or the answer we looked for."""

_log = logging.getLogger(__name__)

Params = Mapping[str, str | int]


class _Later(Exception):
    """Nothing was done. `pause` is what Neon asked for, in seconds, or 0; `hold` is meant for everybody."""

    def __init__(self, pause: float = 0.0, *, hold: float = 0.0) -> None:
        self.pause = pause
        self.hold = hold


class NeonHttp:
    """JSON in, JSON out. `read` for GET; `write` for what changes something."""

    def __init__(
        self,
        key: ApiKey,
        turns: Turns,
        *,
        base_url: str = BASE_URL,
        sleep: Sleep = asyncio.sleep,
        monotonic: Monotonic = time.monotonic,
        chance: Callable[[], float] = random.random,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._key = key
        self._base_url = base_url
        self._sleep = sleep
        self._monotonic = monotonic
        self._chance = chance
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._budget = RateBudget(REQUESTS, turns, sleep)
        self._consumption = RateBudget(CONSUMPTION, turns, sleep)

    async def read(self, path: str, params: Params | None = None) -> Fields:
        """GET. Raises Unavailable, Gone or Misconfigured."""
        return await self._patiently("GET", path, params, None)

    async def write(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Fields:
        """POST, PATCH or DELETE. Raises OutcomeUnknown as well: then look before doing it again."""
        return await self._patiently(method, path, None, body)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _patiently(
        self, method: str, path: str, params: Params | None, body: Mapping[str, object] | None
    ) -> Fields:
        budget = self._consumption if path.startswith("/consumption_history") else self._budget
        deadline = self._monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        while True:
            if not await budget.take(deadline - self._monotonic()):
                raise unreachable()
            try:
                return await self._once(method, path, params, body)
            except _Later as caught:
                later = caught
            if later.hold:
                await budget.hold(later.hold)
            # A jittered pause, so that workers that were turned away together do not return together.
            wait = max(later.pause, pause * (0.5 + self._chance() / 2))
            if self._monotonic() + wait > deadline:
                raise unreachable()
            await self._sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(
        self, method: str, path: str, params: Params | None, body: Mapping[str, object] | None
    ) -> Fields:
        import httpx

        request_id = uuid.uuid4().hex
        try:
            response = await self._opened().request(
                method, path, params=params, json=body, headers={"X-Request-ID": request_id}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._lost(method, path, request_id, error, sent=False) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._lost(method, path, request_id, error, sent=True) from None
        theirs = response.headers.get("x-neon-ret-request-id", "-")
        _log.debug("neon: %s %s: %s [%s, theirs %s]", method, path, response.status_code, request_id, theirs)
        if response.is_success:
            return self._body(method, response)
        raise self._failure(method, path, response, request_id)

    def _body(self, method: str, response: "httpx.Response") -> Fields:
        try:
            return Fields.of(response.json()) if response.content else Fields.of(None)
        except ValueError:
            raise (_Later() if method == "GET" else OutcomeUnknown()) from None

    def _failure(self, method: str, path: str, response: "httpx.Response", request_id: str) -> Exception:
        status, error = response.status_code, _error_fields(response)
        message = error.text("message")
        _log.log(
            logging.INFO if status in EXPECTED else logging.WARNING,
            "neon: %s %s refused: status %s, code %r, %s [%s, theirs %s]",
            method, path, status, error.text("code"), loggable(message), request_id,
            response.headers.get("x-neon-ret-request-id", "-"),
        )  # fmt: skip
        if status in NOTHING_DONE or (status == 422 and "not ready yet" in message):
            pause = retry_after(response.headers) or 0.0
            return _Later(pause, hold=(pause or 1.0) if status == 429 else 0.0)
        if 400 <= status < 500:
            return refusal(status, error.text("code"), request_id, path)
        return _Later() if method == "GET" else OutcomeUnknown()

    def _lost(
        self, method: str, path: str, request_id: str, error: Exception, *, sent: bool
    ) -> "_Later | AgentDbError":
        _log.warning("neon: %s %s failed: %s [%s]", method, path, type(error).__name__, request_id)
        return OutcomeUnknown() if sent and method != "GET" else _Later()

    def _opened(self) -> "httpx.AsyncClient":
        """Made at the first request: importing httpx takes a quarter of a second."""
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(
                base_url=self._base_url,
                headers={"Authorization": f"Bearer {self._key.reveal()}", "Accept": "application/json"},
                timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
                transport=self._transport,
                # A stand-in on this machine is not reached through the proxy for the network.
                trust_env=urlsplit(self._base_url).hostname not in {"127.0.0.1", "::1", "localhost"},
            )
        return self._client


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, a number or a date (RFC 9110, 10.2.3); None when absent or unreadable.

    A date is measured against the answer's own `Date`, so that our clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(
            0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
        )
    except (ValueError, TypeError, KeyError):
        return None


def _error_fields(response: "httpx.Response") -> Fields:
    try:
        return Fields.of(response.json())
    except ValueError:
        return Fields.of(None)
