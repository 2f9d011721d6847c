"""A transaction that stays open from call to call, on a session of its own as the writer role."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import asyncpg

from agentdb_mcp.core.errors import AgentDbError, Denied, Missing, SqlFailed, Unavailable
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.failures import LOST, ended_the_session, flooded, timed_out, translated
from agentdb_mcp.execution.pool import SessionPool
from agentdb_mcp.execution.session import Session
from agentdb_mcp.execution.settling import Settling

T = TypeVar("T")

END_SECONDS: Final = 30.0
"""How long BEGIN may take, which may have to connect, and COMMIT, which checks what was deferred."""

_STEP_SECONDS: Final = 5.0
"""How long the savepoint between two statements may take."""

_GOES_ON: Final = "This statement was undone; the transaction goes on as it was before it."
_ANEW: Final = "Nothing of it was kept: begin a new one and run its statements again."


def transaction_expired() -> Missing:
    """What is said of every handle that leads to no open transaction of the caller's, and never to one.

    A process that was started anew cannot know whether it was committed.
    """
    return Missing(
        "transaction_expired",
        "There is no such open transaction here: it has ended, or never was.",
        "Unless it was committed, nothing of it was kept: then begin a new one and run its statements again.",
    )


class Transaction:
    """One statement at a time. A statement that fails, or is stopped, is undone alone.

    Reads are read-only for PostgreSQL too, though they run as the writer: they have to see what was written.
    """

    def __init__(self, pool: SessionPool, session: Session) -> None:
        self._pool = pool
        self._session = session
        self._afterwards: asyncio.Task[None] | None = None
        self._is_busy = False
        self.is_over = False
        self.seconds = END_SECONDS
        """How long its next statement may take; its holder knows when its life ends."""

    @classmethod
    async def begin(cls, pool: SessionPool, *, idle_seconds: int) -> "Transaction":
        """A new one; the server ends it when it hears nothing for so many seconds. Raises Unavailable."""
        session = await pool.take()
        try:
            await session.hold(idle_seconds)
        except BaseException as error:
            session.terminate()
            pool.give(session, tidy=False)
            if isinstance(error, (*LOST, asyncpg.PostgresError)):
                raise _lost("The connection to the database was lost before the transaction began.") from None
            raise
        return cls(pool, session)

    @property
    def is_busy(self) -> bool:
        """Whether a call has it to itself."""
        return self._is_busy

    @contextmanager
    def alone(self) -> Generator[None]:
        """One call at a time. Raises Denied("rate_limited")."""
        if self._is_busy:
            raise Denied(
                "rate_limited",
                "This transaction runs another statement; this call did nothing.",
                "Send its statements one after the other: wait for that answer, then call again.",
            )
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    async def run(self, attempt: Attempt[T]) -> T:
        """What the attempt gives, with the changes of the statements before it and for those after it.

        Raises as the runner does.
        """
        await self._ready()
        given = await self._tried(attempt)
        await self._shielded(self._keep() if attempt.lasts else self._undo())
        if self.is_over:
            raise self._gone()
        return given

    async def commit(self, most: int | None = None) -> None:
        """Keeps all of it. Raises SqlFailed when what was deferred fails: nothing is kept then.

        Raises TooManyRows when triggers that were deferred would update and delete more than `most` rows: the
        transaction goes on then.
        """
        if most is not None:
            with suppress(SqlFailed):  # the commit says it
                await self.run(Settling(Caps(seconds=END_SECONDS), most))
        await self._ready()
        if self._session.is_closed():
            raise self._gone()
        self._session.let_go()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._session.commit()
        except (*LOST, TimeoutError):
            raise _in_doubt() from None
        except asyncpg.PostgresError as error:
            raise (_in_doubt() if ended_the_session(error) else not_kept(translated(error))) from None
        finally:
            self._end()

    async def roll_back(self) -> None:
        """Undoes all of it, whatever state it is in. Never raises."""
        if self._afterwards is not None:
            await asyncio.wait([self._afterwards])
        if self.is_over:
            return
        self._session.let_go()
        try:
            await self._did(self._session.roll_back)
        finally:
            self._end()

    async def _tried(self, attempt: Attempt[T]) -> T:
        seconds = min(attempt.caps.seconds, self.seconds)
        try:
            async with asyncio.timeout(seconds):
                return await attempt.perform(self._session)
        except TimeoutError:
            await self._shielded(self._stop())
            raise self._told(timed_out(seconds)) from None
        except asyncio.CancelledError:
            self._later(self._stop())
            raise
        except LOST:
            raise self._gone() from None
        except (asyncpg.PostgresError, AgentDbError) as error:
            if isinstance(error, asyncpg.PostgresError) and ended_the_session(error):
                raise self._gone() from None
            await self._shielded(self._undo())
            said = error if isinstance(error, AgentDbError) else translated(error, reads=attempt.reads)
            raise self._told(said) from None

    async def _ready(self) -> None:
        """Waits for what a call before left to be done."""
        if self._afterwards is not None:
            await asyncio.wait([self._afterwards])
        if self.is_over:
            raise transaction_expired()

    async def _stop(self) -> None:
        """Ends the statement under way and undoes it; where it does not end, everything is rolled back."""
        if await self._pool.stop(self._session):
            await self._undo()
        else:
            self._end()

    async def _keep(self) -> None:
        """The statement's part is done; a transaction that cannot keep it is over."""
        if not await self._did(self._session.commit):
            self._end()

    async def _undo(self) -> None:
        """Back to where the statement began; a transaction that cannot go there is over."""
        # A cancel that comes late would end the first.
        if not (await self._did(self._session.roll_back) or await self._did(self._session.roll_back)):
            self._end()

    async def _did(self, step: Callable[[], Awaitable[None]]) -> bool:
        with suppress(asyncpg.PostgresError, *LOST, TimeoutError):
            async with asyncio.timeout(_STEP_SECONDS):
                await step()
                return True
        return False

    def _later(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self._afterwards = asyncio.get_running_loop().create_task(work)
        return self._afterwards

    async def _shielded(self, work: Coroutine[Any, Any, None]) -> None:
        """Done to its end also when the caller leaves."""
        await asyncio.shield(self._later(work))

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._session.let_go()
            self._pool.give(self._session, tidy=True)

    def _gone(self) -> AgentDbError:
        is_flooded = self._session.is_flooded()
        self._session.terminate()
        self._end()
        if is_flooded:
            return not_kept(flooded(in_doubt=False))
        return _lost("The connection was lost, and with it the transaction.")

    def _told(self, error: AgentDbError) -> AgentDbError:
        if self.is_over:
            return not_kept(error)
        error.hint = f"{error.hint} {_GOES_ON}".strip()
        return error


def not_kept(error: AgentDbError) -> AgentDbError:
    """The error, saying that it ended the transaction."""
    error.hint = f"{error.hint} The transaction was rolled back. {_ANEW}".strip()
    return error


def _lost(what: str) -> Unavailable:
    return Unavailable("database_unavailable", what, _ANEW)


def _in_doubt() -> Unavailable:
    return Unavailable(
        "database_unavailable",
        "The connection was lost while the transaction was committed; whether it was kept is not known.",
        "Look at the data: it holds either all of the transaction's changes or none of them.",
    )
