"""The operations of Neon's API that we use, typed in and out.

A change is waited for to the end of the operations it started: Neon answers 423 to the next one until then.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Final
from urllib.parse import quote

from agentdb_mcp.core.errors import Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.neon_fields import Fields
from agentdb_mcp.providers.neon_http import NeonHttp, Params
from agentdb_mcp.providers.neon_rate import Monotonic, Sleep
from agentdb_mcp.providers.neon_records import (
    Branch,
    Created,
    Endpoint,
    Operation,
    Project,
    Projects,
    Quota,
    Region,
)
from agentdb_mcp.providers.neon_refusals import Gone

OPERATION_SECONDS: Final = 60.0
"""How long we wait for operations before the reconciler is told to come again; it then waits for the rest."""

POLL_SECONDS: Final = 0.5
LONGEST_POLL_SECONDS: Final = 4.0

PROJECTS_PER_PAGE: Final = 400
OPERATIONS_PER_PAGE: Final = 100


class NeonApi:
    """One Neon account, or one organization of it when `org_id` is set."""

    def __init__(
        self,
        http: NeonHttp,
        *,
        org_id: str | None = None,
        sleep: Sleep = asyncio.sleep,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._http = http
        self.org_id = org_id
        self._sleep = sleep
        self._monotonic = monotonic

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    # Projects

    async def create_project(self, project: Mapping[str, object]) -> Created:
        """`project` is Neon's `ProjectCreateRequest.project`. After OutcomeUnknown look by name first."""
        inferred = {"org_id": self.org_id} if self.org_id else {}
        answer = await self._http.write("POST", "/projects", {"project": {**project, **inferred}})
        uris = answer.many("connection_uris")
        return Created(
            project=Project.of(answer.one("project")),
            branch=Branch.of(answer.one("branch")),
            operations=_operations(answer),
            owner=ConnectionUri(uris[0].text("connection_uri")) if uris else None,
        )

    async def project(self, project_id: str) -> Project:
        """Raises Gone. A project deleted within Neon's 7 days of grace is gone here as well."""
        return Project.of((await self._http.read(_path(project_id))).one("project"))

    async def projects(self, search: str | None = None, *, recoverable: bool = False) -> Projects:
        """All pages. `search` matches a part of a name or id; `recoverable` lists deleted ones instead."""
        params: dict[str, str | int] = {"limit": PROJECTS_PER_PAGE}
        if self.org_id:
            params["org_id"] = self.org_id
        if search:
            params["search"] = search
        if recoverable:
            params["recoverable"] = "true"
        items: dict[str, Project] = {}
        unavailable: set[str] = set()
        async for page in self._pages("/projects", params, "projects"):
            items |= {each.text("id"): Project.of(each) for each in page.many("projects")}
            unavailable |= set(page.texts("unavailable_project_ids"))
        return Projects(tuple(items.values()), tuple(sorted(unavailable)))

    async def set_quota(
        self, project_id: str, quota: Quota, *, name: str, history_seconds: int | None = None
    ) -> None:
        """Replace all limits of the project, and give it its name back should somebody have changed it.

        `history_seconds`: how far back in time it can be restored; None: as it is.
        """
        history = {} if history_seconds is None else {"history_retention_seconds": history_seconds}
        project = {"name": name, "settings": {"quota": quota.body()}, **history}
        await self._change("PATCH", project_id, "", {"project": project})

    async def rename_project(self, project_id: str, name: str) -> None:
        """1 to 256 characters; names may repeat."""
        await self._change("PATCH", project_id, "", {"project": {"name": name}})

    async def set_history(self, project_id: str, seconds: int) -> None:
        """How far back in time the project can be restored."""
        await self._change("PATCH", project_id, "", {"project": {"history_retention_seconds": seconds}})

    async def delete_project(self, project_id: str) -> None:
        """Delete; recoverable for 7 days. Not there is success."""
        with contextlib.suppress(Gone):
            await self._change("DELETE", project_id, "")

    async def recover_project(self, project_id: str) -> None:
        """Bring back a project deleted less than 7 days ago, with its data."""
        await self._change("POST", project_id, "/recover")

    # Branches, and who owns their database

    async def branches(self, project_id: str) -> tuple[Branch, ...]:
        """The first 1000; the default branch is among them, being asked for by age."""
        params: Params = {"limit": 1000, "sort_by": "created_at", "sort_order": "asc"}
        answer = await self._http.read(_path(project_id, "/branches"), params)
        return tuple(Branch.of(each) for each in answer.many("branches"))

    async def owner_uri(self, project_id: str, branch_id: str, *, database: str, role: str) -> ConnectionUri:
        """The URI of a role that Neon knows, with its password, direct and not pooled."""
        params: Params = {"branch_id": branch_id, "database_name": database, "role_name": role}
        answer = await self._http.read(_path(project_id, "/connection_uri"), params)
        return ConnectionUri(answer.text("uri"))

    # Endpoints

    async def endpoints(self, project_id: str) -> tuple[Endpoint, ...]:
        """Of every branch, read replicas included."""
        answer = await self._http.read(_path(project_id, "/endpoints"))
        return tuple(Endpoint.of(each) for each in answer.many("endpoints"))

    async def change_endpoint(self, project_id: str, endpoint_id: str, change: Mapping[str, object]) -> None:
        """`change` is Neon's `EndpointUpdateRequest.endpoint`."""
        await self._change("PATCH", project_id, f"/endpoints/{_quoted(endpoint_id)}", {"endpoint": change})

    async def start_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Wake the compute; a connection would as well."""
        await self._change("POST", project_id, f"/endpoints/{_quoted(endpoint_id)}/start")

    async def suspend_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Put the compute to sleep. No pause: the next connection wakes it."""
        await self._change("POST", project_id, f"/endpoints/{_quoted(endpoint_id)}/suspend")

    # Operations

    async def settle(self, project_id: str) -> None:
        """Wait until nothing is under way on the project, whoever started it."""
        params: Params = {"limit": OPERATIONS_PER_PAGE}
        answer = await self._http.read(_path(project_id, "/operations"), params)
        # Old failures are history: only what still runs is waited for and judged.
        await self.wait_for(project_id, [each for each in _operations(answer) if not each.ended])

    async def wait_for(self, project_id: str, operations: Iterable[Operation]) -> None:
        """Poll the operations to their end. Raises Unavailable when one fails or lasts too long."""
        deadline = self._monotonic() + OPERATION_SECONDS
        pause = POLL_SECONDS
        for operation in operations:
            current = operation
            while not current.ended:
                if self._monotonic() > deadline:
                    raise Unavailable("provider_unavailable", "Neon is still at work on the project.")
                await self._sleep(pause)
                pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
                path = _path(project_id, f"/operations/{_quoted(operation.id)}")
                current = Operation.of((await self._http.read(path)).one("operation"))
            if current.failed:
                raise Unavailable(
                    "provider_unavailable", f"Neon could not finish an operation ({current.action})."
                )

    # The account

    async def regions(self) -> tuple[Region, ...]:
        """Where this organization may make projects."""
        answer = await self._http.read("/regions", {"org_id": self.org_id} if self.org_id else None)
        return tuple(
            Region(each.text("region_id"), each.text("name"), each.flag("default"))
            for each in answer.many("regions")
        )

    async def _change(
        self, method: str, project_id: str, rest: str, body: Mapping[str, object] | None = None
    ) -> None:
        answer = await self._http.write(method, _path(project_id, rest), body)
        await self.wait_for(project_id, _operations(answer))

    async def _pages(self, path: str, params: Params, items: str) -> AsyncGenerator[Fields]:
        """A page that is not full is the last. Neon sends a cursor with that too, none with an empty one."""
        cursor: str | None = None
        while True:
            page = await self._http.read(path, {**params, "cursor": cursor} if cursor else params)
            yield page
            following = page.one("pagination").text("cursor")
            seen = len(page.many(items)) + len(page.texts("unavailable_project_ids"))
            if not following or following == cursor or seen < int(params["limit"]):
                return
            cursor = following


def _operations(answer: Fields) -> tuple[Operation, ...]:
    return tuple(Operation.of(each) for each in answer.many("operations"))


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _path(project_id: str, rest: str = "") -> str:
    return f"/projects/{_quoted(project_id)}{rest}"
