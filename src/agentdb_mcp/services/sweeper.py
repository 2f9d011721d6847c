"""The search for orphans: what a provider has and nobody wants, and what is recorded and not there.

Before anything is made at a provider its row is written, and a row that goes leaves a tombstone. So what is
ours there and no row speaks of is nobody's, or the control plane was restored from a backup older than it:
such a one is reported for a day before it is deleted. Rows are read before the provider is asked and again
afterwards: only what holds at both times is judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from agentdb_mcp.core.databases import Desired, ManagedDatabase, Observed
from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.providers.base import Census, Owned, Provider
from agentdb_mcp.store import Store


class Plight(StrEnum):
    """What is wrong with it."""

    NOBODYS = "no row speaks of it: delete it"
    DOUBLE = "its database has another one: delete it"
    UNDEAD = "its database was deleted: delete it"
    MISSING = "recorded, and not at the provider under its name: look again, and make, recover or rename it"
    RENAMED = "in use, and named as if we had deleted it: give it its name back at the provider"


NOTICE: Final = timedelta(days=1)
"""How long what no row speaks of is reported before it is deleted: time to notice that rows are missing."""

DISCARDED = frozenset({Plight.NOBODYS, Plight.DOUBLE})
"""Deleted at the provider. The others are left to the reconciler, or to people."""

DOUBTED = frozenset({Plight.UNDEAD, Plight.MISSING})
"""Their rows are no longer believed, so that the reconciler sets them right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One orphan."""

    provider: str
    project_id: str
    database_id: DatabaseId
    plight: Plight
    error: str | None = None
    """The code of what kept us from doing something about it."""
    spared_until: datetime | None = None
    """It was not seen for long enough: a search after this deletes it."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a search found, and did unless it was told only to look."""

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()
    """Providers of which nothing was judged, each with the reason."""


class Sweeper:
    """Asks every provider for everything that is ours."""

    def __init__(self, store: Store, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers

    async def sweep(self, *, dry_run: bool, only: str | None = None, patient: bool = True) -> Sweep:
        """Search everywhere, or at `only` one provider. `patient`: what no row speaks of is spared for a day.

        Raises Unavailable or Misconfigured when a provider does not answer.
        """
        findings, unjudged = list[Finding](), list[str]()
        for provider in self._providers.values() if only is None else [self._providers[only]]:
            before = await self._rows(provider)
            census = await provider.census()
            rows = await self._rows(provider)
            if reason := _why_not(census, rows):
                unjudged.append(f"{provider.name}: {reason}")
                continue
            kept = {key: row for key, row in rows.items() if before.get(key) == row}
            found = [*_unwanted(provider.name, census.owned, rows), *_missing(census.owned, kept)]
            if not dry_run:
                spared = await self._spare(provider, found) if patient else found
                found = await self._act(provider, census.owned, spared)
            findings += found
        return Sweep(tuple(findings), tuple(unjudged))

    async def _rows(self, provider: Provider) -> dict[DatabaseId, ManagedDatabase]:
        rows = await self._store.list_databases(None)
        return {row.id: row for row in rows if row.provider == provider.name}

    async def _spare(self, provider: Provider, found: list[Finding]) -> list[Finding]:
        nobodys = [each.project_id for each in found if each.plight is Plight.NOBODYS]
        seen = await self._store.sight_orphans(provider.name, nobodys)
        now = await self._store.now()
        return [
            replace(each, spared_until=ripe)
            if each.plight is Plight.NOBODYS and (ripe := seen[each.project_id] + NOTICE) > now
            else each
            for each in found
        ]

    async def _act(self, provider: Provider, owned: tuple[Owned, ...], found: list[Finding]) -> list[Finding]:
        await self._store.doubt([each.database_id for each in found if each.plight in DOUBTED])
        projects = {each.project_id: each for each in owned}
        return [
            await _discarded(provider, projects[each.project_id], each)
            if each.plight in DISCARDED and each.spared_until is None
            else each
            for each in found
        ]


def _why_not(census: Census, rows: Mapping[DatabaseId, ManagedDatabase]) -> str:
    """Why this census proves nothing; empty when it does. A wrong key, or the control plane of another
    installation, must not cost anybody a database.
    """
    if not census.complete:
        return "it could not list everything"
    recorded = {key for key, row in rows.items() if _is_recorded(row)}
    known, there = sum(owned.database_id in rows for owned in census.owned), len(census.owned)
    if known * 2 < there:
        return f"the control plane knows {known} of the {there} that are there; is it the right one?"
    if recorded and not census.owned:
        return f"it shows none of the {len(recorded)} that are recorded; is it the right key?"
    return ""


def _is_recorded(row: ManagedDatabase) -> bool:
    """Whether the row says that we have something at the provider."""
    return (
        row.ownership_type == "platform" and row.desired is not Desired.DELETED and row.project_id is not None
    )


async def _discarded(provider: Provider, owned: Owned, finding: Finding) -> Finding:
    try:
        await provider.discard(owned)
    except AgentDbError as error:
        return replace(finding, error=error.code)
    return finding


def _unwanted(
    provider: str, owned: tuple[Owned, ...], rows: Mapping[DatabaseId, ManagedDatabase]
) -> list[Finding]:
    there = {each.project_id for each in owned}
    judged = [(each, _judge(each, rows.get(each.database_id), there)) for each in owned]
    return [
        Finding(provider, each.project_id, each.database_id, plight)
        for each, plight in judged
        if plight is not None
    ]


def _judge(owned: Owned, row: ManagedDatabase | None, there: set[str]) -> Plight | None:
    if row is None:
        return Plight.NOBODYS
    if row.desired is Desired.DELETED:  # else it is kept for its grace, or the reconciler is at it
        return Plight.UNDEAD if row.observed is Observed.DELETED else None
    if row.project_id == owned.project_id:
        return Plight.RENAMED if owned.marked else None
    # While a database is being made its projects are the reconciler's to choose from.
    settled = row.desired == row.observed and row.has_credentials
    return Plight.DOUBLE if settled and row.project_id in there else None


def _missing(owned: tuple[Owned, ...], rows: Mapping[DatabaseId, ManagedDatabase]) -> list[Finding]:
    there = {each.project_id for each in owned}
    return [
        Finding(row.provider, row.project_id or "", row.id, Plight.MISSING)
        for row in rows.values()
        if _is_recorded(row) and row.project_id not in there
    ]
