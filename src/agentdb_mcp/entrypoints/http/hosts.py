"""What hosts say about their users and workspaces, over HTTP: one service call each.

Every call is idempotent by what it names. `Idempotency-Key` makes one count once however late it is repeated
(draft-ietf-httpapi-idempotency-key-header); the answer then says `Idempotency-Replayed: true`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.ids import DatabaseId, TokenId, UserId, WorkspaceId
from agentdb_mcp.core.tokens import Scope
from agentdb_mcp.entrypoints.asgi import caller_of
from agentdb_mcp.entrypoints.facts import facts, facts_of, facts_of_removal
from agentdb_mcp.entrypoints.http.gateway import Front
from agentdb_mcp.entrypoints.http.refusing import application
from agentdb_mcp.entrypoints.http.revealing import revealed, shown
from agentdb_mcp.services.environment import EnvironmentService
from agentdb_mcp.services.host_calls import OnceOnly
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.tokens import TokenService

Answer = dict[str, Any]

METHODS: Final = ("GET", "PUT", "POST", "DELETE")
ENVIRONMENT: Final = "/api/workspaces/{workspace}/environment"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _User(_Body):
    plan: str | None = None


class _Plan(_Body):
    plan: str


class _Workspace(_Body):
    user: str
    name: str = ""


class _Owner(_Body):
    user: str


class _Transfer(_Body):
    user: str
    to: str


class _Token(_Body):
    days: Annotated[int, Field(ge=1, le=3_650)] = 90
    label: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """The services a host's calls go to."""

    lifecycle: LifecycleService
    tokens: TokenService
    environment: EnvironmentService
    once: OnceOnly


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request, read."""

    request: Request
    body: Any

    @property
    def user(self) -> UserId:
        return UserId(self.request.path_params["user"])

    @property
    def workspace(self) -> WorkspaceId:
        return WorkspaceId(self.request.path_params["workspace"])

    @property
    def database(self) -> DatabaseId:
        return DatabaseId(self.request.path_params["database"])


Act = Callable[[Desk, _Ask], Awaitable[Answer]]


def host_fronts(desk: Desk) -> list[Front]:
    """The routes of hosts. What opens URIs needs a token of its own kind."""

    async def open_environment(request: Request) -> Response:
        workspace = WorkspaceId(request.path_params["workspace"])
        return JSONResponse(revealed(await desk.environment.revealed(workspace, caller_of(request.scope))))

    opening = application([Route(f"{ENVIRONMENT}/revealed", open_environment, methods=["GET"])])
    return [
        Front(f"{ENVIRONMENT}/revealed", ("GET",), opening, Scope.REVEAL),
        Front("/api/{rest:path}", METHODS, application(_routes(desk)), Scope.LIFECYCLE),
    ]


def _routes(desk: Desk) -> list[Route]:
    def route(method: str, path: str, act: Act, form: type[_Body] | None = None) -> Route:
        async def answer(request: Request) -> Response:
            ask = _Ask(request, await _read(request, form))
            asked = {
                "method": method,
                "path": request.url.path,
                "query": request.url.query,
                "body": ask.body.model_dump() if ask.body else None,
            }
            key = request.headers.get("idempotency-key")
            caller = _who(request)
            theirs = replace(desk, lifecycle=desk.lifecycle.acting_as(caller))
            done, replayed = await desk.once.call(caller, key, asked, lambda: act(theirs, ask))
            return JSONResponse(done, headers={"idempotency-replayed": "true"} if replayed else None)

        return Route(path, answer, methods=[method])

    return [
        route("PUT", "/api/users/{user}", _register, _User),
        route("POST", "/api/users/{user}/plan", _change_plan, _Plan),
        route("DELETE", "/api/users/{user}", _delete_user),
        route("GET", "/api/users/{user}/databases", _databases),
        route("PUT", "/api/workspaces/{workspace}", _create_workspace, _Workspace),
        route("DELETE", "/api/workspaces/{workspace}", _delete_workspace),
        route("POST", "/api/workspaces/{workspace}/archive", _archive, _Owner),
        route("POST", "/api/workspaces/{workspace}/restore", _restore, _Owner),
        route("POST", "/api/workspaces/{workspace}/transfer", _transfer, _Transfer),
        route("GET", ENVIRONMENT, _environment),
        route("POST", "/api/databases/{database}/pause", _pause),
        route("POST", "/api/databases/{database}/resume", _resume),
        route("POST", "/api/databases/{database}/mend", _mend),
        route("POST", "/api/databases/{database}/protect", _protect),
        route("POST", "/api/databases/{database}/unprotect", _unprotect),
        route("POST", "/api/databases/{database}/undelete", _undelete),
        Route("/api/workspaces/{workspace}/tokens", _new_token(desk), methods=["POST"]),
        Route("/api/tokens/{token}", _old_token(desk), methods=["DELETE"]),
    ]


async def _register(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.register_user(ask.user, plan=ask.body.plan))


async def _change_plan(desk: Desk, ask: _Ask) -> Answer:
    return {"waiting": await desk.lifecycle.change_plan(ask.user, ask.body.plan)}


async def _delete_user(desk: Desk, ask: _Ask) -> Answer:
    return facts_of_removal(await desk.lifecycle.delete_user(ask.user))


async def _databases(desk: Desk, ask: _Ask) -> Answer:
    return {"databases": [facts(row) for row in await desk.lifecycle.databases(ask.user)]}


async def _create_workspace(desk: Desk, ask: _Ask) -> Answer:
    owner = UserId(ask.body.user)
    return facts_of(await desk.lifecycle.create_workspace(ask.workspace, owner, name=ask.body.name))


async def _delete_workspace(desk: Desk, ask: _Ask) -> Answer:
    owner = ask.request.query_params.get("user")
    if not owner:
        raise Invalid("bad_argument", "The owner is not named.", "Add ?user=ID.")
    return facts_of_removal(await desk.lifecycle.delete_workspace(ask.workspace, UserId(owner)))


async def _archive(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.archive_workspace(ask.workspace, UserId(ask.body.user)))


async def _restore(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.restore_workspace(ask.workspace, UserId(ask.body.user)))


async def _transfer(desk: Desk, ask: _Ask) -> Answer:
    giver, taker = UserId(ask.body.user), UserId(ask.body.to)
    return facts_of(await desk.lifecycle.transfer_workspace(ask.workspace, giver, taker))


async def _environment(desk: Desk, ask: _Ask) -> Answer:
    return {**await desk.environment.effective(ask.workspace)}


async def _pause(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.pause(ask.database))


async def _resume(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.resume(ask.database))


async def _protect(desk: Desk, ask: _Ask) -> Answer:
    return facts(await desk.lifecycle.protect(ask.database))


async def _unprotect(desk: Desk, ask: _Ask) -> Answer:
    return facts(await desk.lifecycle.unprotect(ask.database))


async def _undelete(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.undelete(ask.database))


async def _mend(desk: Desk, ask: _Ask) -> Answer:
    return facts_of(await desk.lifecycle.mend(ask.database))


def _new_token(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """Never kept under a key: the text is shown to nobody twice."""

    async def answer(request: Request) -> Response:
        body: Any = await _read(request, _Token)
        workspace, lifetime = WorkspaceId(request.path_params["workspace"]), timedelta(days=body.days)
        made = await desk.tokens.acting_as(_who(request)).create_for_agent(
            workspace, lifetime=lifetime, label=body.label
        )
        return JSONResponse(shown(made), status_code=201)

    return answer


def _old_token(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        await desk.tokens.acting_as(_who(request)).revoke(TokenId(request.path_params["token"]))
        return JSONResponse({"revoked": True})

    return answer


def _who(request: Request) -> str:
    """As the audit trail names it."""
    return f"host:{caller_of(request.scope).token_id}"


async def _read(request: Request, form: type[_Body] | None) -> Any:
    """The body in its form; None where there is to be none. Raises Invalid, which repeats no value."""
    content = await request.body()
    if form is None:
        if content.strip():
            raise Invalid("bad_argument", "This call takes no body.", "docs/how-to/host-api.md shows all.")
        return None
    try:
        return form.model_validate_json(content or b"{}")
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        known = ", ".join(form.model_fields)
        raise Invalid(
            "bad_argument", f"The body does not fit: {'; '.join(problems)}.", f"It takes: {known}."
        ) from None
