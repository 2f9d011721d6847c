"""The sessions of one role on one database: opened when needed, reused last-in first-out, closed when idle.

asyncpg's own pool resets each connection with a round trip before the caller goes on, and its proxies and
tasks cost as much as a short query. Without both, a pool is this file.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.errors import AgentDbError, Unavailable
from agentdb_mcp.execution.failures import LOST
from agentdb_mcp.execution.session import Session

GRACE_SECONDS: Final = 1.0
"""How long what is over may take to be tidied away."""

STOP_SECONDS: Final = 0.75
"""How long a cancelled statement may take to stop before its backend is ended.

PostgreSQL drops a cancel that comes between preparing and executing; the promise is to stop within a second.
"""


class SessionPool:
    """At most `size` sessions at once; whoever comes later waits in line."""

    def __init__(self, connect: Callable[[], Awaitable[Session]], *, size: int, idle_seconds: float) -> None:
        self._connect = connect
        self._idle_seconds = idle_seconds
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[Session] = deque()
        self._in_use: set[Session] = set()
        self._returned = asyncio.Event()
        self._afterwards: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self) -> Session:
        """A session that is ours alone until it is given back. Raises Unavailable."""
        await self._slots.acquire()
        try:
            session = await self._ready_session()
        except BaseException:
            self._slots.release()
            raise
        session = session or await self._opened()
        self._in_use.add(session)
        return session

    def give(self, session: Session, *, tidy: bool) -> None:
        """Takes it back at once; what has to be waited for (a cancel, tidying up) is waited for elsewhere."""
        self._in_use.discard(session)
        self._returned.set()
        if self._closed or not session.is_settled():
            self._later(self._see_off(session))
            return
        if tidy or session.is_half_way():
            session.tidying = self._later(session.tidy())
        self._shelve(session)
        self._slots.release()

    async def stop(self, session: Session) -> bool:
        """Lets a cancelled statement stop; False when it did not, and the session was ended for it."""
        stopped = await session.has_stopped(STOP_SECONDS)
        if not stopped:
            await self._end_backend(session.backend)
        return stopped

    @property
    def is_empty(self) -> bool:
        """Whether no session of it is left."""
        return not (self._idle or self._in_use or self._afterwards)

    def drop_idle(self) -> None:
        """Closes the idle sessions: where one was found dead, the others are not worth trying."""
        while self._idle:
            self._idle.pop().terminate()

    def retire(self) -> None:
        """Closes idle sessions now and those in use when they come back."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        self.drop_idle()

    async def close(self) -> None:
        """Closes idle sessions now, those in use when they come back or after the grace."""
        self.retire()
        await self._wait_for_returns()
        for session in list(self._in_use):
            session.terminate()
        await self._finish_what_is_left()
        await asyncio.sleep(0)  # sockets are closed in the loop's next round

    async def _finish_what_is_left(self) -> None:
        if self._afterwards:
            _, late = await asyncio.wait(self._afterwards, timeout=2 * GRACE_SECONDS)
            for task in late:
                task.cancel()

    async def _opened(self) -> Session:
        """A new session. A caller that leaves meanwhile leaves it to the next: a server may be waking up."""
        opening = asyncio.get_running_loop().create_task(self._open())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._later(self._adopt(opening))
            raise

    async def _open(self) -> Session:
        try:
            session = await self._connect()
            self._refuse_when_closed(session)
        except BaseException:
            self._slots.release()
            raise
        return session

    def _refuse_when_closed(self, session: Session) -> None:
        if self._closed:
            session.terminate()
            raise Unavailable("database_unavailable", "The database's connections were closed.", "Try again.")

    async def _adopt(self, opening: asyncio.Task[Session]) -> None:
        with suppress(Unavailable):
            self.give(await opening, tidy=False)

    async def _wait_for_returns(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self._in_use:
                    self._returned.clear()
                    await self._returned.wait()

    async def _ready_session(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            try:
                ready = await session.is_ready()
            except BaseException:
                session.terminate()
                raise
            if ready:
                return session
            session.terminate()
        return None

    def _shelve(self, session: Session) -> None:
        session.idle_since = asyncio.get_running_loop().time()
        self._idle.append(session)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._idle_seconds, self._reap)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_since + self._idle_seconds <= loop.time():
            self._idle.popleft().terminate()
        self._reaper = None
        if self._idle:
            self._reaper = loop.call_at(self._idle[0].idle_since + self._idle_seconds, self._reap)

    def _later(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
        return task

    async def _see_off(self, session: Session) -> None:
        """Lets a cancelled statement stop, then closes: a late cancel would hit whatever came next."""
        try:
            await self.stop(session)
        finally:
            session.terminate()
            self._slots.release()

    async def _end_backend(self, backend: int) -> None:
        """Asks the server to end a statement that swallows cancels, from a second session of the same role.

        A server of ours notices the closed socket (client_connection_check_interval) and may refuse this.
        """
        with suppress(AgentDbError, *LOST, asyncpg.PostgresError, TimeoutError):
            helper = await self._connect()
            try:
                async with asyncio.timeout(GRACE_SECONDS):
                    await helper.end_backend(backend)
            finally:
                helper.terminate()
