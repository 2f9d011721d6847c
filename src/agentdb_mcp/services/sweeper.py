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
    RENAMED = "in use, under a name that is not its own: give it its name back"
    STRAY = "its row names another provider: set the row's provider right"


NOTICE: Final = timedelta(days=1)
"""How long what no row speaks of is reported before it is deleted: time to notice that rows are missing."""

DISCARDED = frozenset({Plight.NOBODYS, Plight.DOUBLE})
"""Deleted at the provider. The others are left to the reconciler, or to people."""

KNOWN = DISCARDED - {Plight.NOBODYS}
"""What is deleted when nobody is there to ask: not what the control plane may only have forgotten."""

DOUBTED = frozenset({Plight.UNDEAD, Plight.MISSING, Plight.RENAMED})
"""Their rows are no longer believed, so that the reconciler sets them right."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What the control plane says of one provider."""

    rows: Mapping[DatabaseId, ManagedDatabase]
    holders: Mapping[str, tuple[ManagedDatabase, ...]]
    """Project -> the rows that have it on record, but for those whose database is gone. What people named it
    says nothing against that.
    """
    strays: frozenset[DatabaseId]
    """Databases whose rows name another provider."""


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

    async def sweep(
        self,
        *,
        dry_run: bool,
        only: str | None = None,
        patient: bool = True,
        discards: frozenset[Plight] = DISCARDED,
    ) -> Sweep:
        """Search everywhere, or at `only` one provider. `patient`: what no row speaks of is spared for a day.
        `discards`: what may be deleted at the provider.

        Raises Unavailable or Misconfigured when a provider does not answer.
        """
        findings, unjudged = list[Finding](), list[str]()
        for provider in self._providers.values() if only is None else [self._providers[only]]:
            before = (await self._record(provider)).rows
            census = await provider.census()
            record = await self._record(provider)
            if reason := _why_not(census, record):
                unjudged.append(f"{provider.name}: {reason}")
                continue
            kept = {key: row for key, row in record.rows.items() if before.get(key) == row}
            found = [*_unwanted(provider.name, census.owned, record), *_missing(census.owned, kept)]
            if not dry_run:
                spared = await self._spare(provider, found) if patient else found
                found = await self._act(provider, census.owned, spared, discards)
            findings += found
        return Sweep(tuple(findings), tuple(unjudged))

    async def _record(self, provider: Provider) -> _Record:
        rows = await self._store.list_databases(None)
        theirs = {row.id: row for row in rows if row.provider == provider.name}
        holders = dict[str, tuple[ManagedDatabase, ...]]()
        for row in theirs.values():
            if row.project_id is not None and not row.is_over:
                holders[row.project_id] = (*holders.get(row.project_id, ()), row)
        return _Record(theirs, holders, frozenset(row.id for row in rows) - theirs.keys())

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

    async def _act(
        self,
        provider: Provider,
        owned: tuple[Owned, ...],
        found: list[Finding],
        discards: frozenset[Plight],
    ) -> list[Finding]:
        await self._store.doubt([each.database_id for each in found if each.plight in DOUBTED])
        projects = {each.project_id: each for each in owned}
        return [
            await _discarded(provider, projects[each.project_id], each)
            if each.plight in discards and each.spared_until is None
            else each
            for each in found
        ]


def _why_not(census: Census, record: _Record) -> str:
    """Why this census proves nothing; empty when it does. A wrong key, or the control plane of another
    installation, must not cost anybody a database.
    """
    if not census.complete:
        return "it could not list everything"
    recorded = {key for key, row in record.rows.items() if _is_recorded(row)}
    known = sum(
        owned.database_id in record.rows
        or owned.database_id in record.strays
        or owned.project_id in record.holders
        for owned in census.owned
    )
    if known * 2 < (there := len(census.owned)):
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


def _unwanted(provider: str, owned: tuple[Owned, ...], record: _Record) -> list[Finding]:
    there = {each.project_id: each for each in owned}
    judged = [
        (each.project_id, *_of_holders(each, holders))
        if (holders := record.holders.get(each.project_id))
        else (each.project_id, each.database_id, _of_name(each, record, there))
        for each in owned
    ]
    return [
        Finding(provider, project_id, database_id, plight)
        for project_id, database_id, plight in judged
        if plight is not None
    ]


def _of_holders(owned: Owned, holders: tuple[ManagedDatabase, ...]) -> tuple[DatabaseId, Plight | None]:
    """It is on record, so it is kept; under whose name it stands."""
    wanted = [row for row in holders if row.desired is not Desired.DELETED]
    if not wanted:  # kept for its grace, or the reconciler is at it
        return owned.database_id, None
    named = any(row.id == owned.database_id and not owned.marked for row in wanted)
    return wanted[0].id, None if named else Plight.RENAMED


def _of_name(owned: Owned, record: _Record, there: Mapping[str, Owned]) -> Plight | None:
    """It is on nobody's record: its name alone says whose it is."""
    row = record.rows.get(owned.database_id)
    if row is None:
        return Plight.STRAY if owned.database_id in record.strays else Plight.NOBODYS
    if row.desired is Desired.DELETED:  # else it is kept for its grace, or the reconciler is at it
        return Plight.UNDEAD if row.observed is Observed.DELETED else None
    # While a database is being made its projects are the reconciler's to choose from; and a record that names
    # another database's project was edited by hand: this one may hold the data.
    recorded = there.get(row.project_id or "")
    settled = row.desired == row.observed and row.has_credentials
    return Plight.DOUBLE if settled and recorded is not None and recorded.database_id == row.id else None


def _missing(owned: tuple[Owned, ...], rows: Mapping[DatabaseId, ManagedDatabase]) -> list[Finding]:
    there = {each.project_id for each in owned}
    return [
        Finding(row.provider, row.project_id or "", row.id, Plight.MISSING)
        for row in rows.values()
        if _is_recorded(row) and row.project_id not in there
    ]
