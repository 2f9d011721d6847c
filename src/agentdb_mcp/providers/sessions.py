"""What the provider's steps need of a connection, so that only server.py knows the driver."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, LiteralString, Protocol


class Session(Protocol):
    """A connection with `search_path = pg_catalog`, outside any transaction."""

    async def execute(self, query: LiteralString, *args: Any) -> str:
        """Run one statement, or without arguments a script in one transaction."""
        ...

    async def fetch(self, query: LiteralString, *args: Any) -> list[Any]:
        """All rows."""
        ...

    async def fetchval(self, query: LiteralString, *args: Any) -> Any:
        """The first value of the first row."""
        ...

    async def fetchrow(self, query: LiteralString, *args: Any) -> Any:
        """The first row or None."""
        ...


async def run(session: Session, statements: Iterable[LiteralString]) -> None:
    """All of them in one round trip and one transaction."""
    script = ";\n".join(statements)
    if script:
        await session.execute(script)


async def lock(session: Session, purpose: str) -> None:
    """Wait to be the only one with this purpose on the server, until `unlock` or the session's end."""
    await session.execute("SELECT pg_advisory_lock($1)", _key(purpose))


async def unlock(session: Session, purpose: str) -> None:
    """Undo `lock`."""
    await session.execute("SELECT pg_advisory_unlock($1)", _key(purpose))


def _key(purpose: str) -> int:
    return int.from_bytes(sha256(f"agentdb {purpose}".encode()).digest()[:8], signed=True)
