"""The audit trail as it is read: verified, exported, and kept within its bounds."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agentdb_mcp.core.audit import Chain, Fault, Link, Verifier
from agentdb_mcp.core.errors import AgentDbError, Missing
from agentdb_mcp.store import Store

PRUNED_AT_ONCE: Final = 1_000
CHAINS_AT_ONCE: Final = 100

Anchor = tuple[int, bytes]
"""The number of a record, and the hash that it had."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept; the database itself keeps no less than a day and ten thousand records."""

    days: int
    rows: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain, and what is wrong with it."""

    chain: Chain
    faults: tuple[Fault, ...]


class Auditor:
    """Trusts nothing but the values and the hashes that it finds."""

    def __init__(self, store: Store, retention: Retention, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock

    async def verify(
        self, tenant: str | None = None, expected: Anchor | None = None
    ) -> AsyncGenerator[Verified]:
        """Every chain, or that of one tenant, in one state of the database; `expected` is an anchor of it.

        Raises Missing("user_not_found") for a tenant of whom nothing was ever recorded.
        """
        async with self._store.reading_audit() as reading:
            chains = await reading.chains(tenant)
            if tenant is not None and not chains:
                raise _nothing_recorded()
            for chain_id, chain in chains:
                verifier = Verifier(chain, expected)
                async for link in reading.links(chain_id, chain.tenant):
                    verifier.follow(link)
                yield Verified(chain, verifier.end())

    async def strays(self) -> int:
        """How many records belong to no chain."""
        async with self._store.reading_audit() as reading:
            return await reading.strays()

    async def export(self, tenant: str | None = None, since: datetime | None = None) -> AsyncGenerator[Link]:
        """The records of every chain, or of one, oldest first."""
        async with self._store.reading_audit() as reading:
            for chain_id, chain in await reading.chains(tenant):
                async for link in reading.links(chain_id, chain.tenant, since):
                    yield link

    async def prune(self, tenant: str | None = None, *, days: int | None = None) -> int:
        """Remove what is too old or too much, of everybody or of one; how many records that were."""
        removed = 0
        while went := await (self.prune_some(days) if tenant is None else self._prune(tenant, days)):
            removed += went
        return removed

    async def prune_some(self, days: int | None = None) -> int:
        """At most a thousand records of each of a hundred chains; how many went. Broken chains stay."""
        tenants = await self._store.prunable_audits(
            before=self._before(days), keep=self._retention.rows, limit=CHAINS_AT_ONCE
        )
        return sum([await self._prune(each, days) for each in tenants])

    async def prune_quietly(self) -> None:
        """The same where there may be no worker, and where nothing depends on it."""
        with contextlib.suppress(AgentDbError):
            await self.prune_some()

    async def _prune(self, tenant: str, days: int | None) -> int:
        return await self._store.prune_audit(
            tenant,
            before=self._before(days),
            keep=self._retention.rows,
            most=PRUNED_AT_ONCE,
            why="retention" if days is None else "operator",
        )

    def _before(self, days: int | None) -> datetime:
        return self._clock() - timedelta(days=self._retention.days if days is None else days)


def _nothing_recorded() -> Missing:
    return Missing(
        "user_not_found",
        "Nothing was ever recorded of this user.",
        "Without --user every chain is looked at.",
    )
