"""What requests may say, as strictly as Neon's OpenAPI file has it; unknown fields are let pass."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentdb_mcp.fake_neon.refusals import invalid

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]
ComputeUnits = Annotated[float, Field(ge=0.25, le=56, allow_inf_nan=False)]
SuspendTimeout = Annotated[int, Field(ge=-1, le=604_800)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
History = Annotated[int, Field(ge=0, le=2_592_000)]
Texts = dict[str, str]


UNSET: Any = None
"""Not said. Saying null is another thing, and refused."""


class Body(BaseModel):
    """Strict: a number is no string."""

    model_config = ConfigDict(strict=True, extra="ignore")


def given(body: Body) -> dict[str, Any]:
    """What was said, as plain values."""
    return body.model_dump(exclude_unset=True)


class Quota(Body):
    active_time_seconds: Count = 0
    compute_time_seconds: Count = 0
    written_data_bytes: Count = 0
    data_transfer_bytes: Count = 0
    logical_size_bytes: Count = 0


class AllowedIps(Body):
    ips: list[str] = UNSET
    protected_branches_only: bool = UNSET


class MaintenanceWindow(Body):
    weekdays: list[int]
    start_time: str
    end_time: str


class PreloadLibraries(Body):
    use_defaults: bool = UNSET
    enabled_libraries: list[str] = UNSET


class Settings(Body):
    quota: Quota = UNSET
    allowed_ips: AllowedIps = UNSET
    enable_logical_replication: bool = UNSET
    block_public_connections: bool = UNSET
    block_vpc_connections: bool = UNSET
    audit_log_level: Literal["base", "extended", "full"] = UNSET
    hipaa: bool = UNSET
    maintenance_window: MaintenanceWindow = UNSET
    preload_libraries: PreloadLibraries = UNSET


class EndpointSettings(Body):
    autoscaling_limit_min_cu: ComputeUnits = UNSET
    autoscaling_limit_max_cu: ComputeUnits = UNSET
    suspend_timeout_seconds: SuspendTimeout = UNSET
    pg_settings: Texts = UNSET
    pgbouncer_settings: Texts = UNSET


class NewBranch(Body):
    name: Name = UNSET
    database_name: Annotated[str, Field(min_length=1, max_length=63)] = UNSET
    role_name: Annotated[str, Field(min_length=1, max_length=63)] = UNSET
    annotations: Annotated[Texts, Field(max_length=50)] = UNSET


class NewProject(Body):
    name: Name = UNSET
    region_id: str = UNSET
    pg_version: Annotated[int, Field(ge=14, le=18)] = UNSET
    org_id: Id = UNSET
    store_passwords: bool = UNSET
    provisioner: str = UNSET
    history_retention_seconds: History = UNSET
    autoscaling_limit_min_cu: ComputeUnits = UNSET
    autoscaling_limit_max_cu: ComputeUnits = UNSET
    branch: NewBranch = UNSET
    default_endpoint_settings: EndpointSettings = UNSET
    settings: Settings = UNSET


class ProjectChange(Body):
    name: Name = UNSET
    history_retention_seconds: History = UNSET
    default_endpoint_settings: EndpointSettings = UNSET
    settings: Settings = UNSET


class EndpointOptions(Body):
    pg_settings: Texts = UNSET
    pgbouncer_settings: Texts = UNSET
    preload_libraries: PreloadLibraries = UNSET


class NewEndpoint(Body):
    branch_id: Id
    type: Literal["read_write", "read_only"]
    region_id: str = UNSET
    settings: EndpointOptions = UNSET
    autoscaling_limit_min_cu: ComputeUnits = UNSET
    autoscaling_limit_max_cu: ComputeUnits = UNSET
    provisioner: str = UNSET
    pooler_enabled: bool = UNSET
    pooler_mode: Literal["transaction"] = UNSET
    disabled: bool = UNSET
    passwordless_access: bool = UNSET
    suspend_timeout_seconds: SuspendTimeout = UNSET
    name: Annotated[str, Field(min_length=1, max_length=64)] = UNSET


class EndpointChange(Body):
    branch_id: Id = UNSET
    settings: EndpointOptions = UNSET
    autoscaling_limit_min_cu: ComputeUnits = UNSET
    autoscaling_limit_max_cu: ComputeUnits = UNSET
    provisioner: str = UNSET
    pooler_enabled: bool = UNSET
    pooler_mode: Literal["transaction"] = UNSET
    disabled: bool = UNSET
    passwordless_access: bool = UNSET
    suspend_timeout_seconds: SuspendTimeout = UNSET
    name: Annotated[str, Field(min_length=1, max_length=64)] = UNSET


class CreateProject(Body):
    project: NewProject


class UpdateProject(Body):
    project: ProjectChange


class CreateEndpoint(Body):
    endpoint: NewEndpoint


class UpdateEndpoint(Body):
    endpoint: EndpointChange


AnyBody = TypeVar("AnyBody", bound=Body)


def read(model: type[AnyBody], body: bytes) -> AnyBody:
    """Raises Refused(400) in Neon's words."""
    try:
        value = json.loads(body)
    except ValueError:
        raise invalid("decode application/json: not JSON") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        said = "field required" if first["type"] == "missing" else first["msg"]
        raise invalid(f"decode application/json: invalid: {place} ({said})") from None
