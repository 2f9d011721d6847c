"""Hosts' calls by their idempotency keys."""

import json
from dataclasses import dataclass
from typing import Any, Final

from agentdb_mcp.store.facet import Facet
from agentdb_mcp.store.queries import query

KEPT_DAYS: Final = 7
"""How long an answer can be asked for again."""

ABANDONED_SECONDS: Final = 120.0
"""A call that began so long ago and has no answer is not under way any more: its process died."""


@dataclass(frozen=True, slots=True)
class HostCall:
    """What a key stands for."""

    digest: bytes
    answer: dict[str, Any] | None
    """None: it is under way."""


class HostCalls(Facet):
    """Taking keys, and what was answered under them."""

    async def begin_call(self, key: str, digest: bytes) -> HostCall | None:
        """None: the key is ours now, and the call to be made. Else what it already stands for."""
        async with self._control_plane.transaction() as connection:
            await connection.execute(query("forget_calls"), KEPT_DAYS)
            if await connection.fetchval(query("begin_call"), key, digest, ABANDONED_SECONDS) is not None:
                return None
            row = await connection.fetchrow(query("call"), key)
        if row is None:  # forgotten in between: the next try takes it
            return HostCall(digest, None)
        return HostCall(row["digest"], None if row["answer"] is None else json.loads(row["answer"]))

    async def finish_call(self, key: str, answer: dict[str, Any]) -> None:
        """What is answered from now on."""
        async with self._control_plane.connection() as connection:
            await connection.execute(query("finish_call"), key, json.dumps(answer))

    async def drop_call(self, key: str) -> None:
        """It failed: the key may be used again."""
        async with self._control_plane.connection() as connection:
            await connection.execute(query("drop_call"), key)
