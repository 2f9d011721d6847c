"""Which path leads where."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from agentdb_mcp.fake_neon import account_routes, consumption_routes, endpoint_routes, project_routes
from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.project_routes import Answer

Handler = Callable[[Call], Awaitable[Answer]]

PREFIX: Final = "/api/v2"

_PROJECT: Final = "/projects/{project_id}"
_BRANCH: Final = _PROJECT + "/branches/{branch_id}"
_ENDPOINT: Final = _PROJECT + "/endpoints/{endpoint_id}"

ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/projects": {"GET": project_routes.list_projects, "POST": project_routes.create_project},
    "/projects/shared": {"GET": project_routes.list_shared_projects},
    _PROJECT: {
        "GET": project_routes.get_project,
        "PATCH": project_routes.update_project,
        "DELETE": project_routes.delete_project,
    },
    _PROJECT + "/recover": {"POST": project_routes.recover_project},
    _PROJECT + "/operations": {"GET": project_routes.list_operations},
    _PROJECT + "/operations/{operation_id}": {"GET": project_routes.get_operation},
    _PROJECT + "/connection_uri": {"GET": endpoint_routes.get_connection_uri},
    _PROJECT + "/endpoints": {"GET": endpoint_routes.list_endpoints, "POST": endpoint_routes.create_endpoint},
    _ENDPOINT: {
        "GET": endpoint_routes.get_endpoint,
        "PATCH": endpoint_routes.update_endpoint,
        "DELETE": endpoint_routes.delete_endpoint,
    },
    _ENDPOINT + "/start": {"POST": endpoint_routes.start_endpoint},
    _ENDPOINT + "/suspend": {"POST": endpoint_routes.suspend_endpoint},
    _ENDPOINT + "/restart": {"POST": endpoint_routes.restart_endpoint},
    _PROJECT + "/branches": {"GET": endpoint_routes.list_branches},
    _BRANCH: {"GET": endpoint_routes.get_branch},
    _BRANCH + "/endpoints": {"GET": endpoint_routes.list_branch_endpoints},
    _BRANCH + "/roles": {"GET": endpoint_routes.list_roles},
    _BRANCH + "/roles/{role_name}/reveal_password": {"GET": endpoint_routes.reveal_password},
    _BRANCH + "/databases": {"GET": endpoint_routes.list_databases},
    "/consumption_history/v2/projects": {"GET": consumption_routes.consumption},
    "/regions": {"GET": account_routes.regions},
    "/users/me": {"GET": account_routes.me},
    "/users/me/organizations": {"GET": account_routes.organizations},
    "/auth": {"GET": account_routes.auth},
}
"""Path as in Neon's OpenAPI file -> method -> what answers. Fixed parts come before those that vary."""

_PATTERNS: Final = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), methods) for path, methods in ROUTES.items()
]


def find(path: str) -> tuple[dict[str, Handler], dict[str, str]] | None:
    """The handlers of a path by method, and its variable parts. None: there is no such path."""
    for pattern, methods in _PATTERNS:
        if match := pattern.fullmatch(path):
            return methods, match.groupdict()
    return None
