"""/projects and what hangs on a project as a whole."""

from typing import Any

from agentdb_mcp.fake_neon.account import ORG_ID, REGIONS
from agentdb_mcp.fake_neon.bodies import CreateProject, UpdateProject, given, read
from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.refusals import Refused, invalid, not_found
from agentdb_mcp.fake_neon.states import Database, Project, Role
from agentdb_mcp.fake_neon.views import (
    Json,
    branch_view,
    created_view,
    operation_view,
    project_item,
    project_view,
)

Answer = tuple[int, Json]


async def list_projects(call: Call) -> Answer:
    """Newest first. A cursor comes with the last page too, and nothing of the kind with an empty one."""
    call.check_organization()
    limit = call.integer("limit", 10, 1, 400)
    call.integer("timeout", 30_000, 100, 30_000)
    found = call.account.recoverable() if call.flag("recoverable") else call.account.live()
    search = call.text("search").lower()
    found = [each for each in found if search in each.name.lower() or search in each.id]
    page = call.after([each.id for each in found], found)[:limit]
    late = [each.id for each in page if each.id in call.account.unavailable]
    answer: Json = {
        "projects": [project_item(each, call.now) for each in page if each.id not in late],
        "applications": {},
        "integrations": {},
    }
    answer |= {"unavailable_project_ids": late} if late else {}
    return 200, answer | ({"pagination": {"cursor": page[-1].id}} if page else {})


async def list_shared_projects(call: Call) -> Answer:
    """None are shared with an organization's key."""
    call.integer("limit", 10, 1, 400)
    call.integer("timeout", 30_000, 100, 30_000)
    return 200, {"projects": []}


async def create_project(call: Call) -> Answer:
    """The database is made first, so that nothing of the account changes if that fails."""
    wanted = given(read(CreateProject, call.request.body).project)
    if wanted.get("org_id", ORG_ID) != ORG_ID:
        raise Refused(404, "organization not found")
    if wanted.get("region_id", REGIONS[0]) not in REGIONS:
        raise invalid(f"region {wanted['region_id'][:40]!r} is not supported")
    call.account.admit()
    project, owner, database = _drafted(call, wanted)
    size = {**_old_sizes(wanted), **project.default_endpoint_settings}
    endpoint = call.account.new_endpoint(project, "read_write", _size(size))
    await call.stage.postgres.make(project, owner, database)
    await call.stage.measure(project)
    await call.stage.open_endpoint(project, endpoint)
    call.account.add(project, endpoint)
    return 201, created_view(project, endpoint, owner, database, call.now)


def _drafted(call: Call, wanted: dict[str, Any]) -> tuple[Project, Role, Database]:
    """The project as it will be, its first role and its first database."""
    project = call.account.new_project(
        wanted.get("name"), region_id=wanted.get("region_id"), pg_version=wanted.get("pg_version", 17)
    )
    branch = wanted.get("branch", {})
    name = branch.get("database_name", "neondb")
    owner, database = call.account.add_owner(project, name, branch.get("role_name", f"{name}_owner"))
    project.branch.name = branch.get("name", "main")
    project.store_passwords = wanted.get("store_passwords", True)
    _apply(call, project, wanted)
    return project, owner, database


async def get_project(call: Call) -> Answer:
    await call.stage.measure(call.project)
    return 200, {"project": project_view(call.project, call.now)}


async def update_project(call: Call) -> Answer:
    project = call.project
    wanted = given(read(UpdateProject, call.request.body).project)
    call.account.ensure_free(project)
    _apply(call, project, wanted)
    project.name = wanted.get("name", project.name)
    project.updated_at = call.now
    changed = [call.account.schedule(project, "apply_config", lambda: None)] if "settings" in wanted else []
    return 200, {
        "project": project_view(project, call.now),
        "operations": [operation_view(each, call.now) for each in changed],
    }


async def delete_project(call: Call) -> Answer:
    project = call.project
    call.account.delete(project)
    await call.stage.close_project(project)
    return 200, {"project": project_view(project, call.now)}


async def recover_project(call: Call) -> Answer:
    project = call.account.recover(call.names["project_id"])
    await call.stage.reopen_project(project)
    return 200, {
        "project": project_view(project, call.now),
        "branches": [branch_view(project, project.branch, call.now)],
    }


async def list_operations(call: Call) -> Answer:
    """The newest first."""
    project, limit = call.project, call.integer("limit", 100, 1, 1000)
    found = list(reversed(project.operations))
    page = call.after([each.id for each in found], found)[:limit]
    answer: Json = {"operations": [operation_view(each, call.now) for each in page]}
    return 200, answer | ({"pagination": {"cursor": page[-1].id}} if page else {})


async def get_operation(call: Call) -> Answer:
    for operation in call.project.operations:
        if operation.id == call.names["operation_id"].lower():
            return 200, {"operation": operation_view(operation, call.now)}
    raise not_found("operation")


def _apply(call: Call, project: Project, wanted: dict[str, Any]) -> None:
    settings = dict(wanted.get("settings", {}))
    if "quota" in settings:
        call.account.set_quota(project, settings.pop("quota"))
    project.settings |= settings
    project.default_endpoint_settings |= wanted.get("default_endpoint_settings", {})
    project.history_retention_seconds = wanted.get(
        "history_retention_seconds", project.history_retention_seconds
    )


def _old_sizes(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name.startswith("autoscaling_limit_")}


def _size(settings: dict[str, Any]) -> tuple[float, float, int]:
    low = settings.get("autoscaling_limit_min_cu", 0.25)
    high = settings.get("autoscaling_limit_max_cu", max(low, 0.25))
    if low > high:
        raise invalid("autoscaling_limit_min_cu is greater than autoscaling_limit_max_cu")
    return low, high, settings.get("suspend_timeout_seconds", 0)
