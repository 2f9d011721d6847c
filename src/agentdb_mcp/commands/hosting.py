"""The commands of hosts: users, workspaces and their databases."""

import json
from typing import Annotated

import typer

from agentdb_mcp.commands.console import FINISHES, AsJson, Key, do, line_of, run, told, told_deleted
from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.entrypoints.facts import facts

user = typer.Typer(help="Register and remove users.", no_args_is_help=True)
workspace = typer.Typer(
    help="Create and remove workspaces: one agent's place of work each.", no_args_is_help=True
)
database = typer.Typer(help="List, pause, resume and mend databases.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The host's own id.")]
UserOption = Annotated[str, typer.Option("--user", help="The host's id of the user.")]


@user.command("create")
def user_create(
    user_id: Id,
    plan: Annotated[str | None, typer.Option(help="free, pro, team or enterprise.")] = None,
    *,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Register a user: the shared database and the budget row. Fails when either cannot be made."""
    do(
        key,
        ("user create", user_id, plan or ""),
        lambda app: app.lifecycle.register_user(UserId(user_id), plan=plan),
        lambda receipt: told(f"user {user_id}", receipt, as_json=as_json),
    )


@user.command("plan")
def user_plan(
    user_id: Id,
    plan: Annotated[str, typer.Argument(help="free, pro, team or enterprise.")],
    *,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Put a user on another plan, and fit the user's databases to it."""

    def say(waiting: int) -> str:
        if as_json:
            return json.dumps({"plan": plan, "waiting": waiting})
        return f"user {user_id}: plan {plan}" + (f"; {waiting} database(s): {FINISHES}" if waiting else "")

    asked = ("user plan", user_id, plan)
    do(key, asked, lambda app: app.lifecycle.change_plan(UserId(user_id), plan), say)


@user.command("delete")
def user_delete(user_id: Id, *, as_json: AsJson = False, key: Key = None) -> None:
    """Remove a user: every workspace's database first, then the shared one."""
    do(
        key,
        ("user delete", user_id),
        lambda app: app.lifecycle.delete_user(UserId(user_id)),
        lambda removal: told_deleted(f"user {user_id}", removal, as_json=as_json),
    )


@workspace.command("create")
def workspace_create(
    workspace_id: Id,
    user_id: UserOption,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    *,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Create a workspace and its agent's database; pending when the database cannot be made now."""
    do(
        key,
        ("workspace create", workspace_id, user_id, name),
        lambda app: app.lifecycle.create_workspace(WorkspaceId(workspace_id), UserId(user_id), name=name),
        lambda receipt: told(f"workspace {workspace_id}", receipt, as_json=as_json),
    )


@workspace.command("delete")
def workspace_delete(
    workspace_id: Id, user_id: UserOption, *, as_json: AsJson = False, key: Key = None
) -> None:
    """Remove a workspace and its agent's database."""
    do(
        key,
        ("workspace delete", workspace_id, user_id),
        lambda app: app.lifecycle.delete_workspace(WorkspaceId(workspace_id), UserId(user_id)),
        lambda removal: told_deleted(f"workspace {workspace_id}", removal, as_json=as_json),
    )


@workspace.command("archive")
def workspace_archive(
    workspace_id: Id, user_id: UserOption, *, as_json: AsJson = False, key: Key = None
) -> None:
    """Pause a workspace's database until the workspace is restored; its data is kept."""
    do(
        key,
        ("workspace archive", workspace_id, user_id),
        lambda app: app.lifecycle.archive_workspace(WorkspaceId(workspace_id), UserId(user_id)),
        lambda receipt: told(f"workspace {workspace_id}", receipt, as_json=as_json),
    )


@workspace.command("restore")
def workspace_restore(
    workspace_id: Id, user_id: UserOption, *, as_json: AsJson = False, key: Key = None
) -> None:
    """Undo an archiving. What was paused for another reason stays paused."""
    do(
        key,
        ("workspace restore", workspace_id, user_id),
        lambda app: app.lifecycle.restore_workspace(WorkspaceId(workspace_id), UserId(user_id)),
        lambda receipt: told(f"workspace {workspace_id}", receipt, as_json=as_json),
    )


@workspace.command("transfer")
def workspace_transfer(
    workspace_id: Id,
    user_id: UserOption,
    taker: Annotated[str, typer.Option("--to", help="The host's id of the new owner.")],
    *,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Give a workspace and its database to another registered user, whose plan then holds for it."""
    do(
        key,
        ("workspace transfer", workspace_id, user_id, taker),
        lambda app: app.lifecycle.transfer_workspace(
            WorkspaceId(workspace_id), UserId(user_id), UserId(taker)
        ),
        lambda receipt: told(f"workspace {workspace_id}", receipt, as_json=as_json),
    )


@database.command("list")
def database_list(
    user_id: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Every database there is a row for, and where it stands."""
    owner = None if user_id is None else UserId(user_id)
    for row in run(lambda app: app.lifecycle.databases(owner)):
        _show(row, as_json=as_json)


@database.command("pause")
def database_pause(database_id: Id, *, as_json: AsJson = False) -> None:
    """Refuse every statement on a database from now on; its data is kept."""
    receipt = run(lambda app: app.lifecycle.pause(DatabaseId(database_id)))
    print(told(f"database {database_id}", receipt, as_json=as_json))


@database.command("resume")
def database_resume(database_id: Id, *, as_json: AsJson = False) -> None:
    """Undo a pause. One whose workspace is archived, or whose budget is spent, stays paused."""
    receipt = run(lambda app: app.lifecycle.resume(DatabaseId(database_id)))
    print(told(f"database {database_id}", receipt, as_json=as_json))


@database.command("mend")
def database_mend(database_id: Id, *, as_json: AsJson = False) -> None:
    """Go over a database's roles and rights again and make its credentials anew; its data is kept."""
    receipt = run(lambda app: app.lifecycle.mend(DatabaseId(database_id)))
    print(told(f"database {database_id}", receipt, as_json=as_json))


@database.command("protect")
def database_protect(database_id: Id, *, as_json: AsJson = False) -> None:
    """Refuse to delete a database, with its workspace or its user, until it is unprotected."""
    _show(run(lambda app: app.lifecycle.protect(DatabaseId(database_id))), as_json=as_json)


@database.command("unprotect")
def database_unprotect(database_id: Id, *, as_json: AsJson = False) -> None:
    """Undo a protection. One that is deleted already is kept for the grace period from now on."""
    _show(run(lambda app: app.lifecycle.unprotect(DatabaseId(database_id))), as_json=as_json)


def _show(row: ManagedDatabase, *, as_json: bool) -> None:
    print(json.dumps(facts(row)) if as_json else line_of(row))


@database.command("undelete")
def database_undelete(database_id: Id, *, as_json: AsJson = False) -> None:
    """Bring a deleted database back with its data, as long as its provider can; its credentials are new."""
    receipt = run(lambda app: app.lifecycle.undelete(DatabaseId(database_id)))
    print(told(f"database {database_id}", receipt, as_json=as_json))
