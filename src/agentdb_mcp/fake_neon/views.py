"""Neon's JSON for what is in an account: what its OpenAPI file requires, in the form recordings show."""

from datetime import datetime

from agentdb_mcp.fake_neon.metering import next_month, total
from agentdb_mcp.fake_neon.states import (
    RECOVERABLE,
    Branch,
    Database,
    Endpoint,
    Metric,
    Operation,
    Project,
    Role,
)

Json = dict[str, object]

NEVER = "0001-01-01T00:00:00Z"
"""How Neon writes the period of a project that has not been metered yet."""

OWNER_ID = "11111111-2222-3333-4444-555555555555"


def moment(when: datetime) -> str:
    """RFC 3339 in UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def project_view(project: Project, now: datetime) -> Json:
    """`Project`."""
    start = project.period_start
    return {
        **_common(project),
        **{metric.value: total(project, metric, now) for metric in Metric},
        "cpu_used_sec": total(project, Metric.COMPUTE_TIME, now),
        "history_retention_seconds": project.history_retention_seconds,
        "synthetic_storage_size": project.storage_bytes,
        "consumption_period_start": moment(start) if start else NEVER,
        "consumption_period_end": moment(next_month(start)) if start else NEVER,
    }


def project_item(project: Project, now: datetime) -> Json:
    """`ProjectListItem`: a total of active time, and none of compute or storage."""
    item: Json = {
        **_common(project),
        "active_time": total(project, Metric.ACTIVE_TIME, now),
        "cpu_used_sec": total(project, Metric.COMPUTE_TIME, now),
        "history_retention_seconds": project.history_retention_seconds,
    }
    if project.deleted_at is not None:
        item["deleted_at"] = moment(project.deleted_at)
        item["recoverable_until"] = moment(project.deleted_at + RECOVERABLE)
    return item


def _common(project: Project) -> Json:
    return {
        "id": project.id,
        "platform_id": "aws",
        "region_id": project.region_id,
        "name": project.name,
        "provisioner": "k8s-neonvm",
        "default_endpoint_settings": project.default_endpoint_settings,
        "settings": {**project.settings, "quota": project.quota},
        "pg_version": project.pg_version,
        "proxy_host": f"{project.region_id.removeprefix('aws-')}.aws.neon.tech",
        "branch_logical_size_limit": 512,
        "branch_logical_size_limit_bytes": 536_870_912,
        "store_passwords": project.store_passwords,
        "creation_source": "console",
        "created_at": moment(project.created_at),
        "updated_at": moment(project.updated_at),
        "owner_id": OWNER_ID,
        "org_id": project.org_id,
    }


def operation_view(operation: Operation, now: datetime) -> Json:
    """`Operation`."""
    view: Json = {
        "id": operation.id,
        "project_id": operation.project_id,
        "action": operation.action,
        "status": operation.status(now),
        "failures_count": int(operation.failed),
        "created_at": moment(operation.created_at),
        "updated_at": moment(operation.ends_at if operation.done else operation.created_at),
        "total_duration_ms": int((operation.ends_at - operation.created_at).total_seconds() * 1000)
        if operation.done
        else 0,
    }
    view |= {"branch_id": operation.branch_id} if operation.branch_id else {}
    return view | ({"endpoint_id": operation.endpoint_id} if operation.endpoint_id else {})


def endpoint_view(project: Project, endpoint: Endpoint) -> Json:
    """`Endpoint`."""
    times = {
        "last_active": endpoint.last_active,
        "started_at": endpoint.started_at,
        "suspended_at": endpoint.suspended_at,
    }
    view: Json = {
        "host": endpoint.host,
        "id": endpoint.id,
        "project_id": project.id,
        "branch_id": endpoint.branch_id,
        "autoscaling_limit_min_cu": endpoint.min_cu,
        "autoscaling_limit_max_cu": endpoint.max_cu,
        "region_id": project.region_id,
        "type": endpoint.type,
        "current_state": endpoint.state,
        "settings": endpoint.settings,
        "pooler_enabled": False,
        "pooler_mode": "transaction",
        "disabled": endpoint.disabled,
        "passwordless_access": True,
        "creation_source": "console",
        "created_at": moment(endpoint.created_at),
        "updated_at": moment(endpoint.updated_at),
        "proxy_host": f"{project.region_id.removeprefix('aws-')}.aws.neon.tech",
        "suspend_timeout_seconds": endpoint.suspend_timeout_seconds,
        "provisioner": "k8s-neonvm",
    }
    view |= {name: moment(time) for name, time in times.items() if time}
    view |= {"pending_state": endpoint.pending_state} if endpoint.pending_state else {}
    return view | ({"name": endpoint.name} if endpoint.name else {})


def branch_view(project: Project, branch: Branch, now: datetime) -> Json:
    """`Branch`."""
    return {
        "id": branch.id,
        "project_id": project.id,
        "name": branch.name,
        "current_state": branch.state,
        "state_changed_at": moment(branch.created_at),
        "logical_size": project.storage_bytes,
        "creation_source": "console",
        "primary": True,
        "default": True,
        "protected": False,
        "cpu_used_sec": total(project, Metric.COMPUTE_TIME, now),
        **{m.value: total(project, m, now) for m in Metric if m is not Metric.STORAGE},
        "created_at": moment(branch.created_at),
        "updated_at": moment(branch.created_at),
    }


def role_view(project: Project, role: Role, *, password: bool = False) -> Json:
    """`Role`."""
    view: Json = {
        "branch_id": project.branch.id,
        "name": role.name,
        "protected": False,
        "created_at": moment(role.created_at),
        "updated_at": moment(role.created_at),
    }
    return view | ({"password": role.password} if password else {})


def database_view(project: Project, database: Database) -> Json:
    """`Database`."""
    return {
        "id": database.id,
        "branch_id": project.branch.id,
        "name": database.name,
        "owner_name": database.owner_name,
        "created_at": moment(database.created_at),
        "updated_at": moment(database.created_at),
    }


def connection_uri(endpoint: Endpoint, role: Role, database: str) -> str:
    """In the form Neon's console has given since July 2025."""
    query = "sslmode=require&channel_binding=require"
    return f"postgresql://{role.name}:{role.password}@{endpoint.host}/{database}?{query}"


def created_view(
    project: Project, endpoint: Endpoint, owner: Role, database: Database, now: datetime
) -> Json:
    """What `POST /projects` answers, the only answer that shows a password unasked."""
    parameters = {
        "database": database.name,
        "password": owner.password,
        "role": owner.name,
        "host": endpoint.host,
        "pooler_host": endpoint.host,
    }
    uri = connection_uri(endpoint, owner, database.name)
    return {
        "project": project_view(project, now),
        "connection_uris": [{"connection_uri": uri, "connection_parameters": parameters}],
        "roles": [role_view(project, owner, password=True)],
        "databases": [database_view(project, database)],
        "operations": [operation_view(each, now) for each in project.operations],
        "branch": branch_view(project, project.branch, now),
        "endpoints": [endpoint_view(project, endpoint)],
    }
