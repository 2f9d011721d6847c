"""What Neon's API answers, as far as we use it. Every field's meaning is Neon's, from the OpenAPI file of
`@neondatabase/api-client` 2.7.3; docs/reference/neon.md says which operations we call.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.core.usage import Consumption
from agentdb_mcp.providers.neon_fields import Fields


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits per consumption period (the last one per branch, for ever). Neon's 0 means *unlimited*."""

    active_time_seconds: int
    compute_time_seconds: int
    written_data_bytes: int
    data_transfer_bytes: int
    logical_size_bytes: int

    def body(self) -> dict[str, int]:
        """All five fields, always: whether Neon merges or replaces a partial quota is not documented."""
        return {name: getattr(self, name) for name in self.__slots__}


UNLIMITED: Final = Quota(0, 0, 0, 0, 0)

SHUT: Final = Quota(1, 1, 1, 1, 1)
"""The backstop of a pause: not 0, which would lift every limit, and less than anything useful."""


@dataclass(frozen=True, slots=True)
class EndpointSize:
    """A compute's limits. Compute units; seconds, where 0 is Neon's default (300) and -1 means never."""

    min_cu: float = 0.25
    max_cu: float = 1.0
    suspend_timeout_seconds: int = 0

    def body(self) -> dict[str, float]:
        return {
            "autoscaling_limit_min_cu": self.min_cu,
            "autoscaling_limit_max_cu": self.max_cu,
            "suspend_timeout_seconds": self.suspend_timeout_seconds,
        }


class OperationStatus(StrEnum):
    """Where an operation stands; UNKNOWN is any word we do not know, and counts as not ended."""

    SCHEDULING = "scheduling"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    ERROR = "error"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


_SUCCESS = frozenset({OperationStatus.FINISHED, OperationStatus.SKIPPED})
_FAILURE = frozenset({OperationStatus.FAILED, OperationStatus.ERROR, OperationStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Operation:
    """A piece of work at Neon that outlives the request that asked for it."""

    id: str
    action: str
    status: OperationStatus

    @property
    def ended(self) -> bool:
        return self.status in _SUCCESS or self.status in _FAILURE

    @property
    def failed(self) -> bool:
        """Neon's own SDK counts cancelled as failed too."""
        return self.status in _FAILURE

    @classmethod
    def of(cls, fields: Fields) -> "Operation":
        word = fields.text("status")
        status = OperationStatus(word) if word in set(OperationStatus) else OperationStatus.UNKNOWN
        return cls(fields.text("id"), fields.text("action"), status)


@dataclass(frozen=True, slots=True)
class Project:
    """A project as `GET /projects/{id}` shows it; a listing tells less."""

    id: str
    name: str
    region_id: str
    org_id: str
    pg_version: int
    created_at: datetime | None
    quota: Quota
    stored_bytes: int | None
    """With its history."""
    consumption: Consumption | None
    """None: not metered yet, or a listing."""

    @classmethod
    def of(cls, fields: Fields) -> "Project":
        quota = fields.one("settings").one("quota")
        return cls(
            id=fields.text("id"),
            name=fields.text("name"),
            region_id=fields.text("region_id"),
            org_id=fields.text("org_id"),
            pg_version=fields.integer("pg_version"),
            created_at=fields.time("created_at"),
            quota=Quota(*(quota.integer(name) for name in Quota.__slots__)),
            stored_bytes=fields.count("synthetic_storage_size"),
            consumption=_consumption(fields),
        )


@dataclass(frozen=True, slots=True)
class Projects:
    """A listing. One that is not complete proves nothing about a project it does not show."""

    items: tuple[Project, ...]
    unavailable: tuple[str, ...]
    """Ids whose details Neon could not fetch in time."""

    @property
    def complete(self) -> bool:
        return not self.unavailable


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A compute. `state` is init, active or idle; nothing in it says "stopped by a quota"."""

    id: str
    branch_id: str
    host: str
    type: str
    state: str
    disabled: bool
    size: EndpointSize

    @classmethod
    def of(cls, fields: Fields) -> "Endpoint":
        size = EndpointSize(
            fields.number("autoscaling_limit_min_cu"),
            fields.number("autoscaling_limit_max_cu"),
            fields.integer("suspend_timeout_seconds"),
        )
        return cls(
            id=fields.text("id"),
            branch_id=fields.text("branch_id"),
            host=fields.text("host"),
            type=fields.text("type"),
            state=fields.text("current_state"),
            disabled=fields.flag("disabled"),
            size=size,
        )


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch. Every project has one that is the default."""

    id: str
    name: str
    default: bool
    state: str

    @classmethod
    def of(cls, fields: Fields) -> "Branch":
        return cls(
            fields.text("id"), fields.text("name"), fields.flag("default"), fields.text("current_state")
        )


@dataclass(frozen=True, slots=True)
class Created:
    """What `POST /projects` answers."""

    project: Project
    branch: Branch
    operations: tuple[Operation, ...]
    owner: ConnectionUri | None
    """The owner's URI. Not to be used before the operations have ended."""


@dataclass(frozen=True, slots=True)
class Region:
    """A place a project can be made in, for the organization that asked."""

    id: str
    name: str
    default: bool


Granularity = Literal["hourly", "daily", "monthly"]


@dataclass(frozen=True, slots=True)
class Metered:
    """One value of `GET /consumption_history/v2/projects`, in Neon's raw unit (docs/reference/neon.md)."""

    project_id: str
    metric: str
    start: datetime
    end: datetime
    value: int


def _consumption(fields: Fields) -> Consumption | None:
    """A project that has not been metered yet has totals of 0 in a period of the year 1."""
    start = fields.time("consumption_period_start")
    if start is None:
        return None
    return Consumption(
        period_start=start,
        period_end=fields.time("consumption_period_end"),
        active_time_seconds=fields.count("active_time_seconds"),
        compute_time_seconds=fields.count("compute_time_seconds"),
        written_data_bytes=fields.count("written_data_bytes"),
        data_transfer_bytes=fields.count("data_transfer_bytes"),
        data_storage_byte_hours=fields.count("data_storage_bytes_hour"),
    )
