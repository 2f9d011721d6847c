"""Work on a session of a pool: taken, used, given back, and done again where nothing can have happened."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import asyncpg

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.failures import (
    LOST,
    connection_lost,
    flooded,
    no_connection,
    said_goodbye,
    timed_out,
    translated,
)
from agentdb_mcp.execution.pool import SessionPool
from agentdb_mcp.execution.session import Session

T_co = TypeVar("T_co", covariant=True)


class _Repeatable(Exception):
    """The session was gone before the statement could do anything."""


class Attempt(ABC, Generic[T_co]):
    """What one call does on one session, and what of it may be done again."""

    def __init__(self, caps: Caps, *, reads: bool, lasts: bool) -> None:
        self.caps = caps
        self.reads = reads
        """Whether it runs as the reader."""
        self.lasts = lasts
        """Whether it leaves behind what it did."""
        self.started = False

    async def run(self, pool: SessionPool) -> T_co:
        """Once more on a fresh session when a pooled one turns out to be gone."""
        try:
            return await self._attempt(pool)
        except _Repeatable:
            pool.drop_idle()
            return await self._attempt(pool, last=True)

    def late(self) -> AgentDbError:
        """What is said at the deadline."""
        return timed_out(self.caps.seconds) if self.started else no_connection(self.caps.seconds)

    @abstractmethod
    async def perform(self, session: Session) -> T_co:
        """The work itself; what the driver raises may pass."""

    async def _attempt(self, pool: SessionPool, *, last: bool = False) -> T_co:
        session = await pool.take()
        self.started = True
        try:
            return await self.perform(session)
        except LOST as error:
            session.terminate()
            if not last and self._may_repeat(session, error):
                raise _Repeatable from None
            raise self._lost(session) from None
        except asyncpg.PostgresError as error:
            raise translated(error, reads=self.reads) from None
        finally:
            # A read that the guard approved leaves nothing behind: settings, locks, cursors and temporary
            # objects all need statements or functions it refuses, and the settings that change how the next
            # statement is read or rendered are reported by the server and compared before each use. Anything
            # else may have called functions the agent wrote: its session is tidied up once the answer is out.
            pool.give(session, tidy=not self.reads)

    def _may_repeat(self, session: Session, error: BaseException) -> bool:
        """Only for a session that had been idle, and only when nothing (that matters) can have happened."""
        if not session.idle_since or session.is_flooded():
            return False
        return not session.sent or not (self.lasts or said_goodbye(error))

    def _lost(self, session: Session) -> AgentDbError:
        in_doubt = session.sent and self.lasts
        return flooded(in_doubt=in_doubt) if session.is_flooded() else connection_lost(in_doubt=in_doubt)
