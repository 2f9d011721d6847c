"""Where a call's work on a connection begins and ends: in a transaction of its own, or inside a held one."""

from typing import Any, Final, LiteralString

import asyncpg

from agentdb_mcp.core.identifiers import quote_literal
from agentdb_mcp.execution.failures import raised_apart

_MARK: Final[LiteralString] = "SAVEPOINT call"
_KEEP: Final[LiteralString] = f"RELEASE SAVEPOINT call; {_MARK}"
_UNDO: Final[LiteralString] = "ROLLBACK TO SAVEPOINT call"
"""In a held transaction the savepoint always stands before the next call. Going back to it, or releasing it,
also ends a READ ONLY that was set after it (manual, "SET TRANSACTION"; a test holds it)."""


class Scoped(asyncpg.Connection):
    """A connection on which calls say `begin`, `commit` and `roll_back` alike, whether it is held or not."""

    __slots__ = ("is_held", "sent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_held = False
        """Whether a transaction stays open from call to call."""
        self.sent = False
        """Whether the current statement may have reached the server."""

    async def begin(self, how: LiteralString) -> None:
        """Opens a transaction. A session that is given back in one is closed."""
        self.sent = False
        await self.execute(f"SET TRANSACTION {how}" if self.is_held else f"BEGIN {how}")

    async def commit(self) -> None:
        """Ends what `begin` opened, and keeps what was done in it."""
        with raised_apart():
            await self.execute(_KEEP if self.is_held else "COMMIT")

    async def roll_back(self) -> None:
        """Ends what `begin` opened, if anything, as if nothing had been done in it."""
        if self.is_held:
            await self.execute(_UNDO)
        elif self.is_in_transaction():
            await self.execute("ROLLBACK")

    async def hold(self, idle_seconds: int) -> None:
        """Opens a transaction for several calls; what each of them begins and ends is a part of it.

        The server ends it, with the connection, when it hears nothing for so many seconds.
        """
        idle = quote_literal(f"{idle_seconds}s")
        await self.execute(f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = {idle}; {_MARK}")
        self.is_held = True

    def let_go(self) -> None:
        """From now on `commit` and `roll_back` end the held transaction itself."""
        self.is_held = False
