"""Computes, branches, roles and databases of a project."""

from typing import Any

from agentdb_mcp.fake_neon.bodies import CreateEndpoint, UpdateEndpoint, given, read
from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.project_routes import Answer
from agentdb_mcp.fake_neon.refusals import Refused, invalid, not_found
from agentdb_mcp.fake_neon.states import Branch, Endpoint, Operation, Project
from agentdb_mcp.fake_neon.views import (
    branch_view,
    connection_uri,
    database_view,
    endpoint_view,
    operation_view,
    role_view,
)


def _answer(
    call: Call, project: Project, endpoint: Endpoint, operations: list[Operation], status: int = 200
) -> Answer:
    return status, {
        "endpoint": endpoint_view(project, endpoint),
        "operations": [operation_view(each, call.now) for each in operations],
    }


async def list_endpoints(call: Call) -> Answer:
    project = call.project
    return 200, {"endpoints": [endpoint_view(project, each) for each in project.endpoints.values()]}


async def create_endpoint(call: Call) -> Answer:
    """One that writes per branch, and any number that read."""
    project, account = call.project, call.account
    wanted = given(read(CreateEndpoint, call.request.body).endpoint)
    if wanted["branch_id"] != project.branch.id:
        raise not_found("branch")
    account.ensure_free(project)
    if wanted["type"] == "read_write" and any(e.type == "read_write" for e in project.endpoints.values()):
        raise Refused(409, "read-write endpoint already exists")
    endpoint = account.new_endpoint(project, wanted["type"], (0.25, 0.25, 0))
    _resize(endpoint, wanted)
    endpoint.name, endpoint.disabled = wanted.get("name"), wanted.get("disabled", False)
    await call.stage.open_endpoint(project, endpoint)
    project.endpoints[endpoint.id] = endpoint
    started = [] if endpoint.disabled or project.exhausted else [account.schedule_start(project, endpoint)]
    return _answer(call, project, endpoint, started, 201)


async def get_endpoint(call: Call) -> Answer:
    return 200, {"endpoint": endpoint_view(call.project, call.endpoint)}


async def update_endpoint(call: Call) -> Answer:
    """Disabling also puts the compute to sleep; enabling does not wake it."""
    project, endpoint, account = call.project, call.endpoint, call.account
    wanted = given(read(UpdateEndpoint, call.request.body).endpoint)
    account.ensure_free(project)
    _resize(endpoint, wanted)
    endpoint.name = wanted.get("name", endpoint.name)
    endpoint.settings |= wanted.get("settings", {})
    endpoint.updated_at = call.now
    endpoint.disabled = wanted.get("disabled", endpoint.disabled)
    if endpoint.disabled and endpoint.state == "active":
        return _answer(call, project, endpoint, [account.schedule_suspend(project, endpoint)])
    resized = endpoint.state == "active" and any(name.startswith("autoscaling") for name in wanted)
    changed = [account.schedule(project, "apply_config", lambda: None, endpoint)] if resized else []
    return _answer(call, project, endpoint, changed)


async def delete_endpoint(call: Call) -> Answer:
    project, endpoint = call.project, call.endpoint
    call.account.ensure_free(project)
    del project.endpoints[endpoint.id]
    await call.stage.close_endpoint(endpoint)
    return _answer(call, project, endpoint, [])


async def start_endpoint(call: Call) -> Answer:
    project, endpoint = call.project, call.endpoint
    call.account.ensure_free(project)
    if endpoint.state == "active":
        return _answer(call, project, endpoint, [])
    return _answer(call, project, endpoint, [call.account.schedule_start(project, endpoint)])


async def suspend_endpoint(call: Call) -> Answer:
    project, endpoint = call.project, call.endpoint
    call.account.ensure_free(project)
    if endpoint.state != "active":
        return _answer(call, project, endpoint, [])
    return _answer(call, project, endpoint, [call.account.schedule_suspend(project, endpoint)])


async def restart_endpoint(call: Call) -> Answer:
    project, endpoint, account = call.project, call.endpoint, call.account
    account.ensure_free(project)
    operations = [account.schedule_suspend(project, endpoint), account.schedule_start(project, endpoint)]
    return _answer(call, project, endpoint, operations)


def _branch(call: Call) -> Branch:
    if call.names["branch_id"] != call.project.branch.id:
        raise not_found("branch")
    return call.project.branch


async def list_branches(call: Call) -> Answer:
    project = call.project
    call.integer("limit", 100, 1, 10_000)
    call.flag("include_deleted")
    if call.text("sort_by", "updated_at") not in {"name", "created_at", "updated_at"}:
        raise invalid("query parameter sort_by: not a column")
    if call.text("sort_order", "desc") not in {"asc", "desc"}:
        raise invalid("query parameter sort_order: asc or desc")
    found = [project.branch] if call.text("search") in project.branch.name else []
    return 200, {
        "branches": [branch_view(project, each, call.now) for each in found],
        "annotations": {},
        "pagination": {"sort_by": "updated_at", "sort_order": "DESC"},
    }


async def get_branch(call: Call) -> Answer:
    branch = _branch(call)
    return 200, {
        "branch": branch_view(call.project, branch, call.now),
        "annotation": {"object": {"type": "console/branch", "id": branch.id}, "value": {}},
    }


async def list_branch_endpoints(call: Call) -> Answer:
    _branch(call)
    return await list_endpoints(call)


async def list_roles(call: Call) -> Answer:
    """Those Neon knows of. (The real one also finds, after a while, those made by SQL.)"""
    _branch(call)
    project = call.project
    return 200, {"roles": [role_view(project, each) for each in project.roles.values()]}


async def reveal_password(call: Call) -> Answer:
    _branch(call)
    role = call.account.role(call.project, call.names["role_name"])
    if not call.project.store_passwords:
        raise Refused(412, "passwords are not stored for this project")
    return 200, {"password": role.password}


async def list_databases(call: Call) -> Answer:
    _branch(call)
    project = call.project
    return 200, {"databases": [database_view(project, each) for each in project.databases.values()]}


async def get_connection_uri(call: Call) -> Answer:
    """With the password: whoever has the key has every database."""
    project = call.project
    call.flag("pooled")
    for name in ("database_name", "role_name"):
        if name not in call.request.query:
            raise invalid(f"query parameter {name}: required")
    role = call.account.role(project, call.text("role_name"))
    if call.text("database_name") not in project.databases:
        raise not_found("database")
    if call.text("branch_id", project.branch.id) != project.branch.id:
        raise not_found("branch")
    endpoint = _chosen(call, project)
    if not project.store_passwords:
        raise Refused(412, "passwords are not stored for this project")
    return 200, {"uri": connection_uri(endpoint, role, call.text("database_name"))}


def _chosen(call: Call, project: Project) -> Endpoint:
    if "endpoint_id" in call.request.query:
        return call.account.endpoint(project, call.text("endpoint_id"))
    for endpoint in project.endpoints.values():
        if endpoint.type == "read_write":
            return endpoint
    raise not_found("endpoint")


def _resize(endpoint: Endpoint, wanted: dict[str, Any]) -> None:
    low = wanted.get("autoscaling_limit_min_cu", endpoint.min_cu)
    high = wanted.get("autoscaling_limit_max_cu", max(endpoint.max_cu, low))
    if low > high:
        raise invalid("autoscaling_limit_min_cu is greater than autoscaling_limit_max_cu")
    endpoint.min_cu, endpoint.max_cu = low, high
    endpoint.suspend_timeout_seconds = wanted.get("suspend_timeout_seconds", endpoint.suspend_timeout_seconds)
