"""The process that keeps at it: what is wanted is carried out, and what was made is looked at, until it ends.

Any number may run at once: each database is leased to one at a time, and leases of one that died run out.
"""

import asyncio
import logging
import random
from typing import Final

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.services.auditor import PRUNED_AT_ONCE, Auditor
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import KNOWN, Plight, Sweeper
from agentdb_mcp.store import Changes

ROUND_SECONDS: Final = 10.0
"""Longest wait between rounds; somewhat shorter, so that workers started together do not stay so."""

TROUBLE_SECONDS: Final = 5.0
"""The wait after a round in which the control plane could not be reached."""

LOOKS_PER_ROUND: Final = 10
"""At most so many databases are looked at in a round, each with a few requests to its provider."""

PRUNE_SECONDS: Final = 3_600.0
"""How often the audit trail is kept within its bounds."""

SWEEP_SECONDS: Final = 3_600.0
"""How often orphans are searched for: a request that took effect late leaves a project that costs money."""

_log = logging.getLogger(__name__)


class Worker:
    """Rounds: at once when a change is heard, else every few seconds."""

    def __init__(self, reconciler: Reconciler, changes: Changes, auditor: Auditor, sweeper: Sweeper) -> None:
        self._reconciler = reconciler
        self._changes = changes
        self._auditor = auditor
        self._sweeper = sweeper
        self._prune_at = 0.0
        self._sweep_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What is under way then is given up, and finished by whoever comes next."""
        rounds = asyncio.create_task(self._run_rounds())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({rounds, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (rounds, stopped):
                task.cancel()
            await asyncio.wait({rounds, stopped})
        if not rounds.cancelled():
            rounds.result()

    async def _run_rounds(self) -> None:
        while True:
            heard = self._changes.version
            pause = ROUND_SECONDS
            try:
                await self._run_round()
            except AgentDbError as error:
                _log.warning("a round was cut short: %s", error.code)
                pause = TROUBLE_SECONDS
            await self._changes.wait(heard, pause * random.uniform(0.5, 1))  # noqa: S311 - spreads, protects nothing

    async def _run_round(self) -> None:
        outcome = await self._reconciler.run_due()
        for database_id, code in outcome.failed:
            _log.warning("database %s: %s; it is tried again later", database_id, code)
        if outcome.done:
            _log.info("reconciled %s", outcome.done)
        await self._reconciler.look(limit=LOOKS_PER_ROUND)
        await self._reconciler.graves.purge()
        await self._prune()
        await self._sweep()

    async def _prune(self) -> None:
        """A little in each round while there is much, else once in a while."""
        clock = asyncio.get_running_loop().time
        if clock() < self._prune_at:
            return
        if await self._auditor.prune_some() < PRUNED_AT_ONCE:
            self._prune_at = clock() + PRUNE_SECONDS

    async def _sweep(self) -> None:
        """What no row speaks of is left to people, and told."""
        clock = asyncio.get_running_loop().time
        if clock() < self._sweep_at:
            return
        self._sweep_at = clock() + SWEEP_SECONDS
        swept = await self._sweeper.sweep(dry_run=False, discards=KNOWN)
        for reason in swept.unjudged:
            _log.warning("orphans were not searched for: %s", reason)
        for each in swept.findings:
            if each.plight is Plight.NOBODYS:
                _log.warning(
                    "orphan %s at %s: no row speaks of it; see `agentdb sweep`",
                    each.project_id,
                    each.provider,
                )
            else:
                _log.info("orphan %s at %s: %s", each.project_id, each.provider, each.error or each.plight)
