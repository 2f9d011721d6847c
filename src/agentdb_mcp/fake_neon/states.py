"""What a Neon account consists of. Mutable: this is the stand-in's memory, changed in account.py only."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

RECOVERABLE = timedelta(days=7)


class Metric(StrEnum):
    """What is metered, by the name of the project's total."""

    ACTIVE_TIME = "active_time_seconds"
    COMPUTE_TIME = "compute_time_seconds"
    WRITTEN = "written_data_bytes"
    TRANSFERRED = "data_transfer_bytes"
    STORAGE = "data_storage_bytes_hour"


@dataclass(slots=True)
class Operation:
    """Work that takes time. Its effect happens when it ends."""

    project_id: str
    action: str
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    effect: Callable[[], None]
    branch_id: str | None = None
    endpoint_id: str | None = None
    done: bool = False
    failed: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def status(self, now: datetime) -> str:
        """Neon's word for where it stands."""
        if self.done:
            return "failed" if self.failed else "finished"
        return "scheduling" if now < self.starts_at else "running"


@dataclass(slots=True)
class Endpoint:
    """A compute, and the port on this machine that leads to it."""

    id: str
    branch_id: str
    type: Literal["read_write", "read_only"]
    min_cu: float
    max_cu: float
    suspend_timeout_seconds: int
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    settings: dict[str, object] = field(default_factory=dict[str, object])
    disabled: bool = False
    state: Literal["init", "active", "idle"] = "init"
    pending_state: Literal["active", "idle"] | None = None
    last_active: datetime | None = None
    started_at: datetime | None = None
    suspended_at: datetime | None = None
    connections: int = 0
    host: str = ""

    def idles_at(self) -> datetime | None:
        """When it goes to sleep if nobody connects; None: never."""
        if self.connections or self.suspend_timeout_seconds < 0 or self.last_active is None:
            return None
        return self.last_active + timedelta(seconds=self.suspend_timeout_seconds or 300)


@dataclass(slots=True)
class Role:
    """A role that Neon knows of. Those made by SQL are PostgreSQL's alone."""

    name: str
    password: str
    created_at: datetime
    physical: str = ""
    """Its name on the embedded server, which all projects share."""


@dataclass(slots=True)
class Database:
    """A database that Neon knows of."""

    id: int
    name: str
    owner_name: str
    created_at: datetime
    physical: str = ""


@dataclass(slots=True)
class Branch:
    """The one branch of a project, its default."""

    id: str
    name: str
    created_at: datetime
    state: Literal["init", "ready"] = "init"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something metered, at the end of the stretch it was used in."""

    at: datetime
    metric: Metric
    amount: float


@dataclass(slots=True)
class Project:
    """A project and all that is in it."""

    id: str
    name: str
    org_id: str
    region_id: str
    pg_version: int
    created_at: datetime
    updated_at: datetime
    branch: Branch
    store_passwords: bool = True
    history_retention_seconds: int = 86_400
    default_endpoint_settings: dict[str, object] = field(default_factory=dict[str, object])
    settings: dict[str, object] = field(default_factory=dict[str, object])
    quota: dict[str, int] = field(default_factory=dict[str, int])
    endpoints: dict[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    roles: dict[str, Role] = field(default_factory=dict[str, Role])
    databases: dict[str, Database] = field(default_factory=dict[str, Database])
    operations: list[Operation] = field(default_factory=list[Operation])
    deleted_at: datetime | None = None
    period_start: datetime | None = None
    """None until the first metering after its creation."""
    metered_until: datetime | None = None
    entries: list[Entry] = field(default_factory=list[Entry])
    storage_bytes: int = 0
    """What its databases occupied at `sized_at`."""
    sized_at: datetime | None = None
    exhausted: Metric | None = None
    """The limit that stopped its computes."""

    def busy(self) -> bool:
        """Whether an operation is under way."""
        return any(not operation.done for operation in self.operations)
