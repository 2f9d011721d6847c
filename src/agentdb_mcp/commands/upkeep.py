"""The commands of whoever keeps an installation running."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentdb_mcp.commands.console import AsJson, run, settings_of_environment, tell_unfinished, unfinished

upkeep = typer.Typer()


@upkeep.command()
def reconcile(*, as_json: AsJson = False) -> None:
    """Finish what is wanted and not yet done: pending databases, pauses, deletes."""
    outcome = run(lambda app: app.reconciler.run_now())
    if as_json:
        print(json.dumps({"done": outcome.done, **unfinished(outcome)}))
    else:
        print(f"reconciled: {outcome.done} done, {len(outcome.failed)} failed")
        tell_unfinished(outcome)
    if outcome.failed or outcome.under_way:
        raise typer.Exit(1)


@upkeep.command()
def worker() -> None:
    """Carry out what is wanted, as soon as it is, until told to end. Any number may run at once."""
    from agentdb_mcp.app import work

    asyncio.run(work(settings_of_environment(), lambda: print("working", flush=True)))


@upkeep.command()
def sweep(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Delete what no row speaks of without a day's notice.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search for databases at the provider that nobody wants, and for rows whose database is gone."""
    from agentdb_mcp.commands.sweeping import sweep_and_tell

    if not run(lambda app: sweep_and_tell(app, dry_run=dry_run, at_once=at_once, as_json=as_json)):
        raise typer.Exit(1)


@upkeep.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Say what is wrong, and the way out of each. Changes nothing."""
    ailments = run(lambda app: app.doctor.examine(), whole=False)
    for each in ailments:
        print(
            json.dumps(asdict(each))
            if as_json
            else f"{each.subject}: {each.code}: {each.words}\n  {each.way_out}"
        )
    if ailments:
        raise typer.Exit(1)
    if not as_json:
        print("nothing is wrong")


@upkeep.command("import")
def import_databases(
    file: Annotated[
        Path | None, typer.Argument(help="JSON lines; standard input when absent.", dir_okay=False)
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read and check the lines.")] = False,
) -> None:
    """Take existing databases over: Neon projects, and PostgreSQL databases of users' own."""
    from agentdb_mcp.commands.intake import take_over

    text = sys.stdin.read() if file is None else file.read_text()
    if not run(lambda app: take_over(app.importer, text.splitlines(), dry_run=dry_run)):
        raise typer.Exit(1)
