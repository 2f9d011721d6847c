"""Opening a session: patient with a server that wakes up, silent about where it is."""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.guard import GRAMMAR_MAJOR
from agentdb_mcp.execution.endpoints import Endpoint
from agentdb_mcp.execution.failures import sqlstate
from agentdb_mcp.execution.session import Session

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0

_CROWDED: Final = "53300"
"""too_many_connections: of the server, the database or the role."""

_WORTH_WAITING: Final = frozenset({"57P03", _CROWDED, "XX000"})
"""Starting up, no connection free, and what Neon's proxy says of a compute that is still waking."""

_QUOTA: Final = re.compile(r"exceeded the .* quota|endpoint is disabled", re.IGNORECASE)
"""Neon refuses with one of several SQLSTATEs, XX000 among them; only the words are stable."""


@dataclass(slots=True)
class _Patience:
    """How long to try, and what the last try was told."""

    seconds: float
    make_room: Callable[[], None]
    refused_with: str = ""

    def bear(self, error: asyncpg.PostgresError) -> None:
        """Raises the error again unless waiting helps."""
        self.refused_with = sqlstate(error)
        if self.refused_with not in _WORTH_WAITING or _QUOTA.search(str(error)):
            raise error
        if self.refused_with == _CROWDED:
            self.make_room()


async def connect(
    endpoint: Endpoint, seconds: float, make_room: Callable[[], None] = lambda: None
) -> Session:
    """A new session, or Unavailable("database_unavailable") within `seconds`, without the driver's words.

    `make_room` is called when there are too many connections: it gives up those nobody here needs.
    """
    patience = _Patience(seconds, make_room)
    try:
        async with asyncio.timeout(seconds):
            return await _patiently(endpoint, patience)
    except TimeoutError:
        raise _given_up(patience) from None
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        raise _unreachable(error) from None


async def _patiently(endpoint: Endpoint, patience: _Patience) -> Session:
    arguments: dict[str, Any] = endpoint.connect_arguments() | {
        "connection_class": Session,
        "timeout": patience.seconds,
    }
    pause = _FIRST_PAUSE
    while True:
        try:
            session: Session = await asyncpg.connect(**arguments)
        except asyncpg.PostgresError as error:
            patience.bear(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return _understood(session)


def _understood(session: Session) -> Session:
    if not session.understands_us():
        session.terminate()
        raise ValueError("the server would read a statement otherwise than the guard did")
    major = session.get_server_version().major
    if major > GRAMMAR_MAJOR:
        _log.info(
            "the server is PostgreSQL %d, the guard reads the grammar of %d: newer syntax is refused",
            major,
            GRAMMAR_MAJOR,
        )
    return session


def _given_up(patience: _Patience) -> Unavailable:
    if patience.refused_with == _CROWDED:
        return Unavailable(
            "database_unavailable",
            f"Too many connections at once: the database had none free for {patience.seconds:g} s.",
            "Other agents are using it: try again in a moment; if it lasts, tell whoever runs this server.",
        )
    return Unavailable(
        "database_unavailable",
        f"The database did not answer within {patience.seconds:g} s.",
        "Try again in a moment.",
    )


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
