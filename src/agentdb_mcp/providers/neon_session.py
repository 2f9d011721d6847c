"""An administrator's connection to a Neon database: patient with a compute that wakes, in our own words."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Generator
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.sessions import Session

CONNECT_SECONDS: Final = 15
CALL_SECONDS: Final = 60

ATTEMPTS: Final = 4
FIRST_PAUSE: Final = 0.5

SESSION: Final = {"application_name": "agentdb provider", "search_path": "pg_catalog"}
"""No more than this: Neon's pooler refuses other settings at the start of a session."""

LIMITS: Final = "SET statement_timeout = '60s'; SET lock_timeout = '30s'"

REFUSED: Final = re.compile(
    r"exceeded the (compute time|active time|written data|data transfer|logical size) quota"
    r"|endpoint is disabled"
)
"""SQLSTATEs of Neon's proxy are not stable, and XX000 also means "still waking": only the words tell."""

WAKING: Final = frozenset({"XX000", "57P01", "57P03", "53300"})


@contextlib.asynccontextmanager
async def connected(uri: ConnectionUri) -> AsyncGenerator[Session]:
    """A session with the rights of `uri`'s role. Raises Unavailable or Misconfigured, in our own words."""
    with _translated():
        connection = await _patiently(uri)
        try:
            await connection.execute(LIMITS)
            yield cast("Session", connection)
            await connection.close(timeout=CONNECT_SECONDS)
        finally:
            connection.terminate()


def for_role(uri: ConnectionUri, role: str, password: str) -> ConnectionUri:
    """The same database as another role."""
    parts = urlsplit(uri.reveal())
    address = parts.netloc.rpartition("@")[2]
    return ConnectionUri(urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password)}@{address}")))


async def _patiently(uri: ConnectionUri) -> Any:
    arguments = _arguments(uri)
    arguments["server_settings"] |= SESSION
    pause = FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await _connect(arguments)
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            if not _is_waking(error):
                raise
        await asyncio.sleep(pause)
        pause *= 2
    return await _connect(arguments)


def _arguments(uri: ConnectionUri) -> dict[str, Any]:
    try:
        return dsn.arguments(uri.reveal())
    except ValueError:
        raise Unavailable("provider_unavailable", "The connection URI cannot be read.") from None


async def _connect(arguments: dict[str, Any]) -> Any:
    return await asyncpg.connect(
        **arguments, timeout=CONNECT_SECONDS, command_timeout=CALL_SECONDS, statement_cache_size=0
    )


def _is_waking(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return getattr(error, "sqlstate", "") in WAKING and not REFUSED.search(str(error))
    return True


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Neon's texts blame a plan the reader does not have, and a driver's can repeat a URI: neither passes."""
    try:
        yield
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise Misconfigured(
            "provider_refused",
            "The database's owner could not sign in.",
            "Its password was changed. At Neon it is read again at the next try; elsewhere, import it again.",
        ) from None
    except asyncpg.PostgresError as error:
        if found := REFUSED.search(str(error)):
            reason = "its compute is disabled" if found[1] is None else f"its {found[1]} limit is reached"
            raise Unavailable("database_unavailable", f"The database does not start: {reason}.") from None
        state = cast("str", getattr(error, "sqlstate", "unknown"))
        raise Unavailable(
            "provider_unavailable", f"The database refused a step (SQLSTATE {state})."
        ) from None
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
        raise Unavailable("provider_unavailable", "The database cannot be reached.") from None
