"""Handles for transactions that stay open from call to call, which mean something to their owner alone.

In memory of this process, each with a session of its own, and for a while. At every use it is asked again
whether the database is still its owner's to use.
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError, Denied, Invalid, Missing, Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.execution.runner import Runner
from agentdb_mcp.execution.transactions import Transaction, not_kept, transaction_expired
from agentdb_mcp.services.access import AccessService
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.services.fairness import Turns

ROOM: Final = 2
"""Sessions a pool needs beside those of the calls at once, so that no open transaction keeps one waiting."""

MOST_OPEN: Final = {Kind.AGENT: ROOM, Kind.GLOBAL: 1}
"""On one database, from this process. A global one's pool is small: every agent's process has one."""

_REMEMBERED: Final = 1_000
"""Commits of which it is known that they were made: a commit whose answer was lost is sent again."""

_NET: Final = timedelta(seconds=5)
"""How much later than we the server ends a transaction that is not used."""


@dataclass(frozen=True, slots=True)
class Life:
    """How long a transaction may stay open."""

    total: timedelta = timedelta(minutes=5)
    idle: timedelta = timedelta(minutes=1)
    """Without a call."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A handle, and what it is good for."""

    handle: str
    seconds: int
    idle_seconds: int


@dataclass(slots=True)
class _Held:
    """A transaction that is open, on the database it was begun on."""

    principal: Principal
    target: Target
    transaction: Transaction
    until: datetime
    ends: datetime
    """When, if nothing more is asked of it."""
    timer: asyncio.TimerHandle | None = None


class Transactions:
    """Begins, finds and ends them."""

    def __init__(
        self,
        access: AccessService,
        runner: Runner,
        turns: Turns,
        clock: Callable[[], datetime],
        *,
        trail: Trail,
        life: Life | None = None,
    ) -> None:
        self._access = access
        self._runner = runner
        self._turns = turns
        self._clock = clock
        self._trail = trail
        self._life = life or Life()
        self._held: dict[str, _Held] = {}
        self._places: Counter[DatabaseId] = Counter()
        self._rollbacks: set[asyncio.Task[None]] = set()
        self._committed: deque[tuple[Principal, str]] = deque(maxlen=_REMEMBERED)

    async def begin(self, principal: Principal, kind: Kind) -> Begun:
        """A new one. Raises Denied("rate_limited") when as many are open as may be."""
        recorded = self._trail.call(principal, kind, "transaction begin")
        async with recorded as entry, self._turns.turn(principal.workspace_id):
            target = entry.reached(await self._access.resolve(principal, kind))
            self._take_place(target)
            try:
                transaction = await self._runner.begin(target, idle_seconds=_whole(self._life.idle + _NET))
            except BaseException:
                self._places[target.database_id] -= 1
                raise
        until = self._clock() + self._life.total
        handle = secrets.token_urlsafe(12)
        self._held[handle] = _Held(principal, target, transaction, until, until)
        self._rest(handle)
        return Begun(handle, _whole(self._life.total), _whole(self._life.idle))

    @asynccontextmanager
    async def use(
        self, principal: Principal, kind: Kind, handle: str | None
    ) -> AsyncGenerator[Transaction | None]:
        """The transaction, for one statement; it does not end for want of calls meanwhile. None without one.

        Raises Missing("transaction_expired") for every handle that is not the caller's or has ended, and
        Denied("rate_limited") while it is in use. What refuses the database itself, because it was paused or
        given away, ends the transaction.
        """
        if handle is None:
            yield None
            return
        held = self._find(principal, kind, handle)
        with held.transaction.alone():
            _stop(held.timer)
            try:
                await self._check(held, handle)
                held.transaction.seconds = (held.until - self._clock()).total_seconds()
                yield held.transaction
            finally:
                self._rest(handle)

    async def commit(self, principal: Principal, kind: Kind, handle: str, *, most: int | None = None) -> None:
        """Keeps what was done in it, all or nothing. Sent again after it succeeded, it has succeeded.

        Raises TooManyRows when deferred triggers would update and delete more than `most` rows.
        """
        if (principal, handle) in self._committed:
            return
        recorded = self._trail.call(principal, kind, "transaction commit")
        async with recorded, self.use(principal, kind, handle) as transaction:
            if transaction is not None:
                await transaction.commit(most)
                self._committed.append((principal, handle))

    async def roll_back(self, principal: Principal, kind: Kind, handle: str) -> None:
        """Undoes what was done in it, also when the database is closed to the caller by now."""
        async with self._trail.call(principal, kind, "transaction rollback"):
            with self._find(principal, kind, handle).transaction.alone():
                await asyncio.shield(self._end(handle))

    async def close(self) -> None:
        """Rolls back whatever is open."""
        for handle in list(self._held):
            self._end(handle)
        if self._rollbacks:
            await asyncio.wait(self._rollbacks)

    def _take_place(self, target: Target) -> None:
        most = MOST_OPEN[target.kind]
        if self._places[target.database_id] >= most:
            raise Denied(
                "rate_limited",
                f"As many transactions are open on the {target.kind} database as may be: {most}.",
                f"Commit or roll one back; without a call one ends after {_whole(self._life.idle)} s.",
            )
        self._places[target.database_id] += 1

    def _find(self, principal: Principal, kind: Kind, handle: str) -> _Held:
        held = self._held.get(handle)
        if (principal, handle) in self._committed:
            raise _was_committed()
        if held is None or held.principal != principal:
            raise transaction_expired()
        if held.ends <= self._clock() and not held.transaction.is_busy:
            self._end(handle)
            raise transaction_expired()
        if held.target.kind is not kind:
            raise Invalid(
                "bad_argument",
                f"This transaction is open on the {held.target.kind} database, not on {kind}.",
                f'Send it with database "{held.target.kind}".',
            )
        return held

    async def _check(self, held: _Held, handle: str) -> None:
        """Is the database still its owner's to use? What cannot be asked now is not lost by it."""
        try:
            same = await self._access.resolve(held.principal, held.target.kind) == held.target
        except Unavailable:
            raise
        except AgentDbError as error:
            self._end(handle)
            raise not_kept(error) from None
        if not same:
            self._end(handle)
            raise transaction_expired()

    def _rest(self, handle: str) -> None:
        """From now on it waits for its next call, but not for ever."""
        held = self._held.get(handle)
        if held is None:
            return
        if held.transaction.is_over:
            self._end(handle)
            return
        now = self._clock()
        held.ends = min(held.until, now + self._life.idle)
        seconds = (held.ends - now).total_seconds()
        held.timer = asyncio.get_running_loop().call_later(max(seconds, 0), self._end, handle)

    def _end(self, handle: str) -> "asyncio.Task[None]":
        held = self._held.pop(handle)
        _stop(held.timer)
        task = asyncio.get_running_loop().create_task(self._roll_back(held))
        self._rollbacks.add(task)
        task.add_done_callback(self._rollbacks.discard)
        return task

    async def _roll_back(self, held: _Held) -> None:
        await held.transaction.roll_back()
        self._places[held.target.database_id] -= 1


def _was_committed() -> Missing:
    return Missing(
        "transaction_expired",
        "This transaction was committed: it has ended, and all of its changes were kept.",
        "Do not run its statements again; what else is to be done needs a new one.",
    )


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _whole(time: timedelta) -> int:
    return int(time.total_seconds())
