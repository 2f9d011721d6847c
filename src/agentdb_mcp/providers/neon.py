"""Databases as Neon projects: one project each, found again by a name that holds the database's whole id.

Neon offers no idempotency key and lets names repeat. So every change of ours either looks first and sends one
POST at most, or sets something to a value and can be repeated. docs/adr/0010 says why, and what follows.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

from agentdb_mcp.core.databases import DatabaseSpec, Observed, Provisioned
from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ApiKey, ConnectionUri
from agentdb_mcp.core.usage import Usage
from agentdb_mcp.providers.base import Census, OnRecord, Owned
from agentdb_mcp.providers.neon_api import NeonApi
from agentdb_mcp.providers.neon_defaults import DATABASE, NEON_PROJECT_DEFAULTS, OWNER, ProjectDefaults
from agentdb_mcp.providers.neon_http import BASE_URL, NeonHttp
from agentdb_mcp.providers.neon_names import ProjectNames
from agentdb_mcp.providers.neon_rate import Turns
from agentdb_mcp.providers.neon_records import SHUT, Created, Endpoint, Project, Projects
from agentdb_mcp.providers.neon_refusals import Gone, OutcomeUnknown, compute_missing, key_missing
from agentdb_mcp.providers.neon_roles import furnish
from agentdb_mcp.providers.neon_usage import LAG

PREFIX: Final = "agentdb"

_UNDATED: Final = datetime.max.replace(tzinfo=UTC)


class NeonProvider:
    """The provider protocol on Neon's API."""

    recoverable_for = timedelta(days=7)
    """Neon's own grace for deleted projects."""

    def __init__(
        self,
        api: NeonApi,
        *,
        plans: Mapping[str, ProjectDefaults] = NEON_PROJECT_DEFAULTS,
        prefix: str = PREFIX,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_record_of_others: OnRecord | None = None,
    ) -> None:
        self._api = api
        self._on_record_of_others = on_record_of_others
        self._plans = plans
        self._clock = clock
        self._names = ProjectNames(prefix)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def name(self) -> str:
        """The value stored in `managed_database.provider`."""
        return "neon"

    async def create(self, spec: DatabaseSpec) -> Provisioned:
        """Make the project and its roles; or adopt what is there, bring back what somebody deleted at Neon
        less than 7 days ago, and delete what a doubled request left beside it.
        """
        async with self._alone_with(spec):
            chosen, created = await self._on_record(spec), None
            found = await self._all(spec)
            if not (chosen or self._live(spec, found)):
                created = await self._recover_or_make(spec)
                found = await self._all(spec)
            chosen = chosen or next(iter(self._live(spec, found)), created and created.project)
            if chosen is None:
                raise OutcomeUnknown
            for extra in found:
                if extra.id != chosen.id:
                    await self._discard(spec.id, extra.id)
            branch_id, owner = await self._readied(spec, chosen.id, created)
            made = await furnish(owner, spec)
        return Provisioned(chosen.id, branch_id, DATABASE, made.credentials, made.unhardened)

    async def pause(self, spec: DatabaseSpec, project_id: str) -> None:
        """Disable every compute, read replicas included; then the backstop, a quota that is used up at once.

        A quota alone is neither instant nor complete: it is judged on figures up to an hour old.
        """
        async with self._alone_with(spec):
            for endpoint in await self._api.endpoints(project_id):
                if not endpoint.disabled:
                    await self._api.change_endpoint(project_id, endpoint.id, {"disabled": True})
            await self._api.set_quota(project_id, SHUT, name=self._names.of(spec))

    async def resume(self, spec: DatabaseSpec, project_id: str) -> None:
        """Undo a pause in reverse, with the sizes of the plan as it is now."""
        async with self._alone_with(spec):
            await self._open(spec, project_id)

    async def tune(self, spec: DatabaseSpec, project_id: str) -> None:
        """After a change of plan: the computes' sizes and the history. A paused project stays paused.

        The project's own defaults would apply to new computes only.
        """
        plan = self._plan(spec)
        async with self._alone_with(spec):
            await self._api.set_history(project_id, plan.history_retention_seconds)
            for endpoint in await self._endpoints(project_id):
                if endpoint.size != plan.size:
                    await self._api.change_endpoint(project_id, endpoint.id, plan.size.body())

    async def delete(self, spec: DatabaseSpec, project_id: str | None) -> None:
        """Delete the project and whatever else bears its name, or our mark. Neon keeps it recoverable for 7
        days.
        """
        async with self._alone_with(spec):
            if project_id is not None:
                await self._discard(spec.id, project_id)
            for project in await self._all(spec):
                await self._discard(spec.id, project.id)

    async def reclaim(self, spec: DatabaseSpec, project_id: str) -> bool:
        """Raises Missing when it is nowhere: deleted more than 7 days ago, or of another organization."""
        async with self._alone_with(spec):
            await self._reclaim(spec, project_id)
        return True

    async def usage(self, spec: DatabaseSpec, project_id: str) -> Usage:  # noqa: ARG002 - the protocol's
        """The project's totals of the current period, which is Neon's billing month."""
        as_of = self._clock()
        project = await self._api.project(project_id)
        return Usage(as_of, LAG, project.stored_bytes, project.consumption)

    async def observe(self, spec: DatabaseSpec, project_id: str | None) -> Observed:
        """What is there now. A recorded project that is nowhere to be seen is UNKNOWN, not deleted: a key of
        another organization sees none of ours, and making them anew would leave everybody's data behind.
        """
        if project_id is None:
            return Observed.UNKNOWN if self._live(spec, await self._all(spec)) else Observed.DELETED
        try:
            project = await self._api.project(project_id)
            endpoints = await self._api.endpoints(project_id)
        except Gone:
            return Observed.DELETED if await self._deleted(project_id) else Observed.UNKNOWN
        return _state(project, endpoints)

    async def census(self) -> Census:
        """Every live project of ours, for the search for orphans both ways."""
        listing = await self._api.projects(f"{self._names.prefix}-")
        owned = tuple(
            Owned(project.id, *read, project.created_at)
            for project in listing.items
            if self._is_of_our_organization(project) and (read := self._names.read(project.name))
        )
        return Census(owned, listing.complete)

    async def discard(self, owned: Owned) -> None:
        """Delete one project of a census. Whoever asks has made sure that nobody wants it."""
        await self._discard(owned.database_id, owned.project_id)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    @contextlib.asynccontextmanager
    async def _alone_with(self, spec: DatabaseSpec) -> AsyncGenerator[None]:
        """In this process; between processes the reconciler's lease does it, and after both Neon's 423."""
        async with self._turns.setdefault(spec.id, asyncio.Lock()):
            yield

    async def _open(self, spec: DatabaseSpec, project_id: str) -> None:
        plan = self._plan(spec)
        name, history = self._names.of(spec), plan.history_retention_seconds
        await self._api.set_quota(project_id, plan.quota, name=name, history_seconds=history)
        for endpoint in await self._endpoints(project_id):
            if endpoint.disabled or endpoint.size != plan.size:
                await self._api.change_endpoint(
                    project_id, endpoint.id, {"disabled": False, **plan.size.body()}
                )

    async def _discard(self, database_id: DatabaseId, project_id: str) -> None:
        """Marked first: what we deleted must not be brought back as what somebody else deleted is."""
        with contextlib.suppress(Gone):
            await self._api.rename_project(project_id, self._names.marked(database_id))
            await self._api.delete_project(project_id)

    async def _reclaim(self, spec: DatabaseSpec, project_id: str) -> Project:
        """The project on record holds the data: recovered if it was deleted, and named so that it is found,
        whether we had marked it, a person renamed it or it was imported.
        """
        try:
            found = await self._api.project(project_id)
        except Gone:
            found = await self._deleted(project_id)
            if found is None:
                raise
            await self._api.recover_project(project_id)
        if found.name != self._names.of(spec):
            await self._api.rename_project(project_id, self._names.of(spec))
        return found

    async def _on_record(self, spec: DatabaseSpec) -> Project | None:
        """Nowhere, and none of its name either: Gone. With one of its name the record was edited by hand."""
        if spec.project_id is None:
            return None
        try:
            return await self._reclaim(spec, spec.project_id)
        except Gone:
            if not self._live(spec, await self._all(spec)):
                raise
            return None

    async def _deleted(self, project_id: str) -> Project | None:
        """The project as Neon lists it among those that can be recovered."""
        deleted = await self._api.projects(project_id, recoverable=True)
        return next((each for each in deleted.items if each.id == project_id), None)

    async def _recover_or_make(self, spec: DatabaseSpec) -> Created | None:
        """None: it was brought back, or it is not known whether it was made."""
        name = self._names.of(spec)
        for deleted in await self._ours(spec, await self._api.projects(name, recoverable=True), name):
            await self._api.recover_project(deleted.id)
            return None
        # Never a second POST in one call: the first may still be under way. The next call looks first.
        with contextlib.suppress(OutcomeUnknown):
            return await self._api.create_project(self._plan(spec).body(name))
        return None

    async def _readied(
        self, spec: DatabaseSpec, project_id: str, created: Created | None
    ) -> tuple[str, ConnectionUri]:
        """The branch and the owner's URI, once nothing is under way and the compute may start."""
        if created is not None and created.project.id == project_id and created.owner is not None:
            await self._api.wait_for(project_id, created.operations)
            return created.branch.id, created.owner
        await self._api.settle(project_id)
        await self._open(spec, project_id)
        branch_id = next((each.id for each in await self._api.branches(project_id) if each.default), "")
        owner = await self._api.owner_uri(project_id, branch_id, database=DATABASE, role=OWNER)
        return branch_id, owner

    async def _all(self, spec: DatabaseSpec) -> list[Project]:
        """Those that bear its name, or our mark in place of it. Raises Unavailable when not all are shown:
        one that is not may hold the data, or go on billing.
        """
        listing = await self._api.projects(spec.id)
        if not listing.complete:
            raise Unavailable("provider_unavailable", "Neon could not list all projects.")
        return await self._ours(spec, listing, self._names.of(spec), self._names.marked(spec.id))

    def _live(self, spec: DatabaseSpec, found: list[Project]) -> list[Project]:
        """Those of them that nobody began to delete."""
        return [each for each in found if each.name == self._names.of(spec)]

    async def _ours(self, spec: DatabaseSpec, listing: Projects, *names: str) -> list[Project]:
        """Of exactly that name, and not another's on record. The oldest first, so that all keep the same."""
        found = [each for each in listing.items if each.name in names and self._is_of_our_organization(each)]
        if found and self._on_record_of_others is not None:
            others = await self._on_record_of_others(spec.id, self.name, [each.id for each in found])
            found = [each for each in found if each.id not in others]
        return sorted(found, key=lambda each: (each.created_at or _UNDATED, each.id))

    def _is_of_our_organization(self, project: Project) -> bool:
        return self._api.org_id in {None, project.org_id}

    async def _endpoints(self, project_id: str) -> tuple[Endpoint, ...]:
        if endpoints := await self._api.endpoints(project_id):
            return endpoints
        raise compute_missing()

    def _plan(self, spec: DatabaseSpec) -> ProjectDefaults:
        return self._plans.get(spec.plan) or self._plans["free"]


def open_neon(
    key: ApiKey | None,
    turns: Turns,
    *,
    org_id: str | None = None,
    base_url: str = BASE_URL,
    plans: Mapping[str, ProjectDefaults] = NEON_PROJECT_DEFAULTS,
    prefix: str = PREFIX,
    on_record_of_others: OnRecord | None = None,
) -> NeonProvider:
    """The provider for an operator's key. Raises Misconfigured("settings_invalid") when there is none.

    `turns` are shared with every process that uses the account.
    """
    if key is None:
        raise key_missing()
    api = NeonApi(NeonHttp(key, turns, base_url=base_url), org_id=org_id)
    return NeonProvider(api, plans=plans, prefix=prefix, on_record_of_others=on_record_of_others)


def _state(project: Project, endpoints: tuple[Endpoint, ...]) -> Observed:
    """Half a pause, or none of our making, is neither."""
    disabled = {endpoint.disabled for endpoint in endpoints}
    if disabled == {True} and project.quota == SHUT:
        return Observed.PAUSED
    if disabled == {False} and project.quota != SHUT:
        return Observed.ACTIVE
    return Observed.UNKNOWN
