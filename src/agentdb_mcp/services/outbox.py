"""Records on their way into the audit trail: collected, written in batches, counted when dropped.

Nobody who does anything waits for this, but whoever asks to.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from agentdb_mcp.core.errors import AgentDbError, Unavailable

T = TypeVar("T")

LINGER_SECONDS: Final = 0.2
"""How long the first of a batch waits for others: what a process that is killed can lose."""

BATCH: Final = 500
RETRY_SECONDS: Final = 1.0
"""The pause after the control plane could not be reached."""

LAST_SECONDS: Final = 5.0
"""Longest wait at the end for what is still to be written."""

_REFUSED: Final = frozenset({"bad_argument", "internal"})
"""Codes of what would be refused again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait in memory while the control plane is away."""

    items: int = 10_000
    size: int = 16_000_000
    """Characters of statements."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    tenant: str
    size: int
    written: "asyncio.Future[None] | None" = None
    stands_for: int = 1
    """How many it is, when it cannot be written either."""


class Outbox(Generic[T]):
    """A bounded queue with one writer behind it.

    `send` writes a batch, and is told whether it may have arrived before; `gap` makes the item that says how
    many of a tenant's were dropped.
    """

    def __init__(
        self,
        send: Callable[[Sequence[T], bool], Awaitable[None]],
        gap: Callable[[str, int], T],
        bounds: Bounds | None = None,
    ) -> None:
        self._send = send
        self._gap = gap
        self._bounds = bounds or Bounds()
        self._waiting: deque[_Waiting[T]] = deque()
        self._size = 0
        self._dropped: Counter[str] = Counter()
        self._in_doubt = False
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()

    def put(self, item: T, tenant: str, size: int) -> None:
        """Have it written soon. When too much waits already it is dropped, and counted."""
        self._add(_Waiting(item, tenant, size))

    async def put_now(self, item: T, tenant: str, size: int) -> None:
        """Have it written before this returns. Raises AgentDbError when that could not be done; it is then
        forgotten.
        """
        written = asyncio.get_running_loop().create_future()
        if not self._add(_Waiting(item, tenant, size, written)):
            raise Unavailable(
                "control_plane_unavailable",
                "The audit trail cannot be written, and nothing may be changed without it.",
                "Try again in a moment. The operator can look at the control plane.",
            )
        self._urgent.set()
        await written

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """Write inside this block, and at its end what is left, for a few seconds at most."""
        writer = asyncio.create_task(self._write_always())
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            await self._write_last()

    def _add(self, waiting: _Waiting[T]) -> bool:
        full = len(self._waiting) >= self._bounds.items or self._size + waiting.size > self._bounds.size
        if full:
            self._dropped[waiting.tenant] += 1
            return False
        self._waiting.append(waiting)
        self._size += waiting.size
        self._news.set()
        if len(self._waiting) >= BATCH:
            self._urgent.set()
        return True

    async def _write_always(self) -> None:
        while True:
            await self._news.wait()
            await self._pause(LINGER_SECONDS)
            well = not self._in_doubt
            try:
                await self._write()
            except Exception as error:  # noqa: BLE001 - a trail that ends at a bug would be no trail
                if well:
                    _log.warning("the audit trail is not written for now: %s", _name(error))
                await self._pause(RETRY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """For so long, or until somebody is in a hurry."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()

    async def _write(self) -> None:
        """One batch."""
        self._urgent.clear()
        self._tell_of_gaps()
        batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
        doubted, self._in_doubt = self._in_doubt, True
        try:
            await self._send([each.item for each in batch], doubted)
        except Exception as error:
            self._give_up(batch, error)
            raise
        self._in_doubt = False
        for each in batch:
            self._take_first()
            _resolve(each.written, None)
        if not self._waiting:
            self._news.clear()
        elif len(self._waiting) >= BATCH:
            self._urgent.set()

    def _give_up(self, batch: list[_Waiting[T]], error: Exception) -> None:
        """Whoever waits hears of it. The rest is tried again, or dropped when it was refused."""
        for _ in batch:
            self._take_first()
        for each in batch:
            _resolve(each.written, error)
        kept = [each for each in batch if each.written is None]
        if isinstance(error, AgentDbError) and error.code not in _REFUSED:
            self._waiting.extendleft(reversed(kept))
            self._size += sum(each.size for each in kept)
        else:
            for each in kept:
                self._dropped[each.tenant] += each.stands_for

    def _take_first(self) -> None:
        self._size -= self._waiting.popleft().size

    def _tell_of_gaps(self) -> None:
        if len(self._waiting) < self._bounds.items:
            for tenant, count in self._dropped.items():
                self._waiting.append(_Waiting(self._gap(tenant, count), tenant, 0, stands_for=count))
            self._dropped.clear()

    async def _write_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                while self._waiting or self._dropped:
                    await self._write()
        except Exception as error:  # noqa: BLE001 - what is lost is said, and the process ends in order
            lost = len(self._waiting) + self._dropped.total()
            _log.warning("%s records of the audit trail are lost: %s", lost, _name(error))


def _name(error: Exception) -> str:
    return error.code if isinstance(error, AgentDbError) else type(error).__name__


def _resolve(written: "asyncio.Future[None] | None", error: Exception | None) -> None:
    if written is None or written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
