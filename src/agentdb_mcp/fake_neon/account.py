"""One organization at Neon: its projects, and the rules they follow. State changes here, and at once."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from agentdb_mcp.fake_neon.clock import Clock
from agentdb_mcp.fake_neon.metering import judge, meter, month_start, tick_before
from agentdb_mcp.fake_neon.naming import Namer
from agentdb_mcp.fake_neon.refusals import Refused, locked, not_found
from agentdb_mcp.fake_neon.states import (
    RECOVERABLE,
    Branch,
    Database,
    Endpoint,
    Entry,
    Metric,
    Operation,
    Project,
    Role,
)

ORG_ID: Final = "org-quiet-field-12345678"
REGIONS: Final = ("aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2")


@dataclass(slots=True)
class Traits:
    """How this account behaves; tests change it as they like."""

    operation_seconds: float = 1.0
    projects_limit: int = 1000
    offers_history: bool = True
    """Whether the plan has the consumption history; Free answers 403."""
    serialized: bool = True
    """Whether a change is refused with 423 while another is under way."""


class Account:
    """Projects by id, deleted ones included."""

    def __init__(self, clock: Clock, *, seed: int = 1) -> None:
        self.clock = clock
        self.traits = Traits()
        self.namer = Namer(seed)
        self.projects: dict[str, Project] = {}
        self.unavailable: set[str] = set()
        """Ids whose details a listing cannot fetch in time."""
        self.suspended: Callable[[Project, Endpoint], None] = lambda _project, _endpoint: None
        """Called when a compute stops: its connections end."""

    # Time

    def advance(self) -> datetime:
        """Let everything happen that was due until now."""
        now = self.clock()
        for project in self.projects.values():
            meter(project, now)
            self._doze_off(project, now)
            self._judge(project, now)
            for operation in project.operations:
                if not operation.done and operation.ends_at <= now:
                    operation.done = True
                    operation.effect()
        return now

    def _doze_off(self, project: Project, now: datetime) -> None:
        for endpoint in project.endpoints.values():
            idles_at = endpoint.idles_at()
            if endpoint.state == "active" and idles_at is not None and idles_at <= now:
                self._stop(project, endpoint, idles_at)

    def _judge(self, project: Project, now: datetime) -> None:
        tick = tick_before(now)
        if project.created_at >= tick:
            return
        if project.period_start is None or project.period_start < month_start(tick):
            project.period_start = month_start(tick)
        project.exhausted = judge(project, now)
        if project.exhausted:
            for endpoint in project.endpoints.values():
                if endpoint.state == "active":
                    self._stop(project, endpoint, now)

    def _stop(self, project: Project, endpoint: Endpoint, at: datetime) -> None:
        endpoint.state, endpoint.pending_state, endpoint.suspended_at = "idle", None, at
        self.suspended(project, endpoint)

    # Looking

    def live(self) -> list[Project]:
        """The newest first, as Neon lists them."""
        return [each for each in reversed(self.projects.values()) if each.deleted_at is None]

    def recoverable(self) -> list[Project]:
        """Deleted within the last 7 days."""
        oldest = self.clock() - RECOVERABLE
        return [
            each for each in reversed(self.projects.values()) if each.deleted_at and each.deleted_at > oldest
        ]

    def project(self, project_id: str) -> Project:
        """Raises Refused(404)."""
        found = self.projects.get(project_id)
        if found is None or found.deleted_at is not None:
            raise not_found("project")
        return found

    def endpoint(self, project: Project, endpoint_id: str) -> Endpoint:
        """Raises Refused(404)."""
        if endpoint_id not in project.endpoints:
            raise not_found("endpoint")
        return project.endpoints[endpoint_id]

    # Projects

    def admit(self) -> None:
        """Raises Refused when the plan allows no further project."""
        if len(self.live()) >= self.traits.projects_limit:
            raise Refused(422, "projects limit exceeded", "PROJECTS_LIMIT_EXCEEDED")

    def new_project(self, name: str | None, *, region_id: str | None, pg_version: int) -> Project:
        """A project that is not yet part of the account: its database has to be made first."""
        now = self.clock()
        project_id = self.namer.project_id()
        return Project(
            id=project_id, name=name or project_id, org_id=ORG_ID, region_id=region_id or REGIONS[0],
            pg_version=pg_version, created_at=now, updated_at=now, metered_until=now,
            branch=Branch(self.namer.branch_id(), "main", now),
        )  # fmt: skip

    def add(self, project: Project, endpoint: Endpoint) -> None:
        """Commit a new project and start it."""
        self.projects[project.id] = project
        project.endpoints[endpoint.id] = endpoint

        def ready() -> None:
            project.branch.state = "ready"

        self.schedule(project, "create_timeline", ready)
        self.schedule_start(project, endpoint)

    def delete(self, project: Project) -> None:
        """Soft: recoverable for 7 days, and out of sight."""
        self.ensure_free(project)
        meter(project, self.clock())
        for endpoint in project.endpoints.values():
            self._stop(project, endpoint, self.clock())
        project.deleted_at = self.clock()

    def recover(self, project_id: str) -> Project:
        """Bring a deleted project back, with its computes asleep."""
        for project in self.recoverable():
            if project.id == project_id:
                project.deleted_at = None
                return project
        raise not_found("project")

    def set_quota(self, project: Project, quota: dict[str, int]) -> None:
        """Replaces. A limit raised above what was used, or set to 0, lets computes start again at once."""
        project.quota = quota
        project.exhausted = judge(project, self.clock())

    # Computes

    def new_endpoint(
        self, project: Project, type_: Literal["read_write", "read_only"], size: tuple[float, float, int]
    ) -> Endpoint:
        """A compute that is not yet part of the project."""
        now = self.clock()
        return Endpoint(self.namer.endpoint_id(), project.branch.id, type_, *size, now, now)

    def schedule_start(self, project: Project, endpoint: Endpoint) -> Operation:
        """Wake a compute. Raises Refused when it may not."""
        if refusal := why_not(project, endpoint):
            raise Refused(*refusal)
        endpoint.pending_state = "active"
        return self.schedule(project, "start_compute", lambda: self.wake(endpoint), endpoint)

    def schedule_suspend(self, project: Project, endpoint: Endpoint) -> Operation:
        """Put a compute to sleep."""
        endpoint.pending_state = "idle"
        return self.schedule(
            project, "suspend_compute", lambda: self._stop(project, endpoint, self.clock()), endpoint
        )

    def wake(self, endpoint: Endpoint) -> None:
        """A connection, or an operation, starts the compute."""
        now = self.clock()
        if endpoint.state != "active":
            endpoint.started_at = now
        endpoint.state, endpoint.pending_state, endpoint.last_active = "active", None, now

    def use(self, project_id: str, amounts: dict[Metric, float]) -> None:
        """Pretend that so much was used just now."""
        project = self.project(project_id)
        project.entries += [Entry(self.clock(), metric, amount) for metric, amount in amounts.items()]

    # Operations

    def ensure_free(self, project: Project) -> None:
        """Raises Refused(423) while something is under way."""
        if self.traits.serialized and project.busy():
            raise locked()

    def schedule(
        self, project: Project, action: str, effect: Callable[[], None], endpoint: Endpoint | None = None
    ) -> Operation:
        """One after the other, each taking its time."""
        now = self.clock()
        begin = max([now, *(each.ends_at for each in project.operations if not each.done)])
        length = timedelta(seconds=self.traits.operation_seconds)
        operation = Operation(
            project.id, action, now, begin + length / 4, begin + length, effect,
            branch_id=project.branch.id, endpoint_id=endpoint.id if endpoint else None,
        )  # fmt: skip
        project.operations.append(operation)
        return operation

    # What people and SQL do

    def role(self, project: Project, name: str) -> Role:
        """Raises Refused(404)."""
        if name not in project.roles:
            raise not_found("role")
        return project.roles[name]

    def add_owner(self, project: Project, database: str, role: str) -> tuple[Role, Database]:
        """The first database and its owner."""
        now = self.clock()
        owner = project.roles[role] = Role(role, f"npg_{secrets.token_urlsafe(9)}", now)
        first = project.databases[database] = Database(self.namer.number(), database, role, now)
        return owner, first

    def under_way(self, projects: Iterable[Project]) -> list[Operation]:
        """What has not ended yet."""
        return [each for project in projects for each in project.operations if not each.done]


def why_not(project: Project, endpoint: Endpoint) -> tuple[int, str, str] | None:
    """What stops the compute from starting: status, message, code."""
    if endpoint.disabled:
        return 406, "endpoint is disabled", "ENDPOINT_DISABLED"
    if project.exhausted is not None:
        words = {
            Metric.ACTIVE_TIME: ("Your project has exceeded the active time quota", "ACTIVE_TIME_EXCEEDED"),
            Metric.COMPUTE_TIME: (
                "Your account or project has exceeded the compute time quota",
                "COMPUTE_TIME_EXCEEDED",
            ),
            Metric.WRITTEN: (
                "Your project has exceeded the written data quota",
                "WRITTEN_DATA_LIMIT_EXCEEDED",
            ),
            Metric.TRANSFERRED: (
                "Your project has exceeded the data transfer quota",
                "DATA_TRANSFER_LIMIT_EXCEEDED",
            ),
        }[project.exhausted]
        return 422, f"{words[0]}. Upgrade your plan to increase limits.", words[1]
    return None
