"""Opening a session: patient with a server that wakes up, silent about where it is."""

import asyncio
import re
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.execution.endpoints import Endpoint
from agentdb_mcp.execution.failures import sqlstate
from agentdb_mcp.execution.session import Session

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0

_WORTH_WAITING: Final = frozenset({"57P03", "53300", "XX000"})
"""Starting up, no connection free, and what Neon's proxy says of a compute that is still waking."""

_QUOTA: Final = re.compile(r"exceeded the .* quota|endpoint is disabled", re.IGNORECASE)
"""Neon refuses with one of several SQLSTATEs, XX000 among them; only the words are stable."""


async def connect(endpoint: Endpoint, seconds: float) -> Session:
    """A new session, or Unavailable("database_unavailable") within `seconds`, without the driver's words."""
    try:
        async with asyncio.timeout(seconds):
            return await _patiently(endpoint, seconds)
    except TimeoutError:
        raise Unavailable(
            "database_unavailable",
            f"The database did not answer within {seconds:g} s.",
            "Try again in a moment.",
        ) from None
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        raise _unreachable(error) from None


async def _patiently(endpoint: Endpoint, seconds: float) -> Session:
    arguments: dict[str, Any] = endpoint.connect_arguments() | {
        "connection_class": Session,
        "timeout": seconds,
    }
    pause = _FIRST_PAUSE
    while True:
        try:
            session: Session = await asyncpg.connect(**arguments)
        except asyncpg.PostgresError as error:
            if sqlstate(error) not in _WORTH_WAITING or _QUOTA.search(str(error)):
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return _understood(session)


def _understood(session: Session) -> Session:
    if not session.understands_us():
        session.terminate()
        raise ValueError("the server would read a statement otherwise than the guard did")
    return session


def _unreachable(error: BaseException) -> Unavailable:
    if _QUOTA.search(str(error)):
        return Unavailable(
            "database_unavailable",
            "The database's provider refuses connections: its quota is used up or its compute is disabled.",
            "Ask whoever runs this server.",
        )
    return Unavailable(
        "database_unavailable",
        "The database cannot be reached.",
        "Try again; if it lasts, ask whoever runs this server.",
    )
