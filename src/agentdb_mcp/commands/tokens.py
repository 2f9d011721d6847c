"""The commands about bearer tokens."""

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_mcp.commands.console import AsJson, run
from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.ids import TokenId, WorkspaceId
from agentdb_mcp.core.tokens import Scope

if TYPE_CHECKING:
    from agentdb_mcp.services.tokens import NewToken, TokenService
    from agentdb_mcp.store.tokens import AccessToken

token = typer.Typer(help="Bearer tokens of callers over HTTP.", no_args_is_help=True)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@token.command("create")
def token_create(
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="For the agent of this workspace.")
    ] = None,
    scopes: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="For a host instead: lifecycle, reveal; may be repeated."),
    ] = None,
    expires: Annotated[str, typer.Option(help="30m, 12h, 90d or never.")] = "90d",
    label: Annotated[str, typer.Option(help="A word for people.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    if (workspace is None) == (not scopes):
        raise Invalid(
            "bad_argument",
            "A token is for the agent of one workspace or for a host.",
            "Give either --workspace W or --scope S.",
        )
    lifetime = _lifetime(expires)

    async def create(tokens: "TokenService") -> "NewToken":
        if workspace is not None:
            return await tokens.create_for_agent(WorkspaceId(workspace), lifetime=lifetime, label=label)
        return await tokens.create_for_host(scopes or [], lifetime=lifetime, label=label)

    made = run(lambda app: create(app.tokens))
    shown = made.text.reveal()
    print(json.dumps({**_facts(made.token, "valid"), "token": shown}) if as_json else shown)


@token.command("list")
def token_list(
    workspace: Annotated[str | None, typer.Option("--workspace", help="Only this workspace's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Every token, those that are no longer valid included. Their texts cannot be shown again."""

    async def found(tokens: "TokenService") -> "list[tuple[AccessToken, str]]":
        chosen = None if workspace is None else WorkspaceId(workspace)
        return [(each, tokens.state_of(each)) for each in await tokens.tokens(chosen)]

    for each, state in run(lambda app: found(app.tokens)):
        print(json.dumps(_facts(each, state)) if as_json else _line(each, state))


@token.command("revoke")
def token_revoke(token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Refuse a token from now on, also on connections that are open."""
    run(lambda app: app.tokens.revoke(TokenId(token_id)))
    print(f"token {token_id}: revoked")


def _lifetime(text: str) -> timedelta | None:
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if found is None:
        raise Invalid("bad_argument", "--expires takes 30m, 12h, 90d or never.", "Write one of them.")
    return int(found[1]) * _UNITS[found[2]]


def _facts(each: "AccessToken", state: str) -> dict[str, Any]:
    return {
        "id": each.id,
        "state": state,
        "workspace": each.workspace_id,
        "user": each.user_id,
        "scopes": sorted(each.scopes),
        "label": each.label,
        "created_at": each.created_at.isoformat(),
        "expires_at": None if each.expires_at is None else each.expires_at.isoformat(),
    }


def _line(each: "AccessToken", state: str) -> str:
    whose = f"workspace {each.workspace_id}" if each.workspace_id else "host"
    until = "never expires" if each.expires_at is None else f"expires {each.expires_at:%Y-%m-%d %H:%M} UTC"
    label = f"  {each.label}" if each.label else ""
    return f"{each.id}  {state:7}  {whose}  {', '.join(sorted(each.scopes))}  {until}{label}"
