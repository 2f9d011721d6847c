"""The command line: a process starts and stops here, and every command imports only what it needs."""

import asyncio
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_mcp.commands.auditing import audit
from agentdb_mcp.commands.console import settings_of_environment
from agentdb_mcp.commands.hosting import database, user, workspace
from agentdb_mcp.commands.tokens import token
from agentdb_mcp.commands.upkeep import upkeep
from agentdb_mcp.core.errors import AgentDbError, Invalid
from agentdb_mcp.core.ids import WorkspaceId

if TYPE_CHECKING:
    from agentdb_mcp.core.guard import Policy

cli = typer.Typer(
    name="agentdb",
    help="A PostgreSQL database for every LLM agent, one more shared per user, behind MCP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys = typer.Typer(help="The keys that seal connection URIs.", no_args_is_help=True)
postgres = typer.Typer(help="The embedded Postgres.", no_args_is_help=True)
for name, group in {
    "user": user,
    "workspace": workspace,
    "database": database,
    "token": token,
    "keys": keys,
    "audit": audit,
    "postgres": postgres,
}.items():
    cli.add_typer(group, name=name)
cli.add_typer(upkeep)


@cli.command()
def migrate() -> None:
    """Bring the control plane's schema up to this build's."""
    from agentdb_mcp.app import migrate as bring_up

    applied = asyncio.run(bring_up(settings_of_environment()))
    print("\n".join(f"applied {name}" for name in applied) or "nothing to do: the schema is current")


@keys.command("rotate")
def keys_rotate() -> None:
    """Re-seal every connection URI under the current key (a new one where the key file is ours)."""
    from agentdb_mcp.app import rotate_keys

    def tell(done: int) -> None:
        print(f"resealed {done}", file=sys.stderr)

    rotation = asyncio.run(rotate_keys(settings_of_environment(), tell))
    print(rotation)
    if rotation.remaining:
        raise typer.Exit(1)


@postgres.command("status")
def postgres_status() -> None:
    """Where the embedded Postgres is, and whether it runs."""
    from agentdb_mcp.providers.embedded import EmbeddedPostgres

    status = EmbeddedPostgres.status(settings_of_environment().home)
    if status is None:
        print("no embedded Postgres in this home yet")
        return
    print(f"data: {status.data}\nlog:  {status.log}")
    print(f"running on 127.0.0.1:{status.running.port}" if status.running else "not running")


@postgres.command("stop")
def postgres_stop() -> None:
    """Stop the embedded Postgres, whoever uses it."""
    from agentdb_mcp.providers.embedded import EmbeddedPostgres

    EmbeddedPostgres.stop(settings_of_environment().home)
    print("stopped")


@cli.command()
def mcp(
    workspace_id: Annotated[
        str, typer.Option("--workspace", help="The workspace whose agent this server serves.")
    ],
    databases: Annotated[
        str | None, typer.Option("--database", help="agent, global or both (the default).")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--database-url", help="'${AGENT_DB_URL}' or '${GLOBAL_DB_URL}': a reference, never a URL."
        ),
    ] = None,
) -> None:
    """Serve one workspace's agent over stdio. stdout carries JSON-RPC only."""
    from agentdb_mcp.core.references import served_databases
    from agentdb_mcp.engine import serve_stdio

    asyncio.run(
        serve_stdio(
            settings_of_environment(), WorkspaceId(workspace_id), served_databases(databases, reference)
        )
    )


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65_535)] = 8765,
    *,
    sse: Annotated[bool, typer.Option("--sse", help="Serve the legacy SSE transport too.")] = False,
) -> None:
    """Serve the agents of all workspaces over HTTP, each by its token, until told to end."""
    from agentdb_mcp.gateway import serve_http

    asyncio.run(serve_http(settings_of_environment(), host, port, sse=sse))


@cli.command("serve-hosts")
def serve_hosts(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65_535)] = 8766,
) -> None:
    """Serve hosts' calls about users and workspaces over HTTP, until told to end."""
    from agentdb_mcp.gateway import serve_hosts as serve_calls

    asyncio.run(serve_calls(settings_of_environment(), host, port))


@cli.command()
def check(
    statement: Annotated[
        str | None, typer.Argument(help="A statement; JSON lines from stdin when absent.")
    ] = None,
    policies: Annotated[
        list[str] | None, typer.Option("--policy", help="A policy's name; may be repeated.")
    ] = None,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Show the facts the verdict rests on.")] = False,
) -> None:
    """Would the guard allow it? No database is touched.

    With a statement: exits 0 when every policy allows it, 1 when one refuses, 2 when it is not SQL.
    """
    chosen = _policies(policies or ["agent"])
    if statement is None:
        _check_lines(chosen)
        return
    from agentdb_mcp.entrypoints.check import explain_statement

    explanation = explain_statement(statement, chosen)
    print("\n".join(explanation.lines(colour=sys.stdout.isatty(), facts=explain)))
    raise typer.Exit(explanation.exit_code)


def _policies(names: list[str]) -> "list[Policy]":
    from agentdb_mcp import assets
    from agentdb_mcp.core.guard import load_policies

    known = load_policies(assets.folder("policies"))
    if unknown := [name for name in names if name not in known]:
        raise Invalid(
            "bad_argument", f"There is no policy '{unknown[0][:60]}'.", f"Policies are: {', '.join(known)}."
        )
    return [known[name] for name in names]


def _check_lines(policies: "list[Policy]") -> None:
    """JSON lines in, JSON lines out, each as soon as it is decided."""
    from agentdb_mcp.entrypoints.check import check_stream

    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # pyright: ignore[reportAttributeAccessIssue]
    for line in check_stream(sys.stdin, policies):
        print(line, flush=True)


@cli.command()
def demo(
    *,
    on_neon: Annotated[
        bool, typer.Option("--neon", help="With databases at a stand-in for Neon, on this machine too.")
    ] = False,
) -> None:
    """Play the whole story on this machine, through the real server, and prove each claim."""
    from agentdb_mcp.demo import run

    raise typer.Exit(asyncio.run(run(on_neon=on_neon)))


@cli.command()
def version() -> None:
    """The version of this build."""
    from agentdb_mcp import __version__

    print(__version__)


def main() -> None:
    """Run a command; an error of ours becomes two clear lines and exit code 1, never a traceback."""
    try:
        cli()
    except AgentDbError as error:
        print(f"error {error.code}: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - no traceback at a user: it may hold values, and helps nobody
        frame = traceback.extract_tb(error.__traceback__)[-1]
        print(f"error internal: {type(error).__name__} at {frame.name}:{frame.lineno}", file=sys.stderr)
        print("  This is a fault of ours. Please report it with the line above.", file=sys.stderr)
        sys.exit(1)
