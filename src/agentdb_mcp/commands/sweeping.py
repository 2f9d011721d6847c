"""`agentdb sweep`: search, set right, and say what was found."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from agentdb_mcp.commands.console import moment, tell_unfinished, unfinished
from agentdb_mcp.services.reconciler import Outcome
from agentdb_mcp.services.sweeper import DISCARDED, Finding, Plight, Sweep

if TYPE_CHECKING:
    from agentdb_mcp.app import App


async def sweep_and_tell(app: "App", *, dry_run: bool, at_once: bool, as_json: bool) -> bool:
    """Search for orphans and, unless it is a dry run, set right what was found. True: nothing is left."""
    async with app.trail.act("sweep") as entry:
        swept = await app.sweeper.sweep(dry_run=dry_run, patient=not at_once)
        entry.rows = len(swept.findings)
    outcome = Outcome() if dry_run else await app.reconciler.run_now()
    if as_json:
        print(json.dumps({**asdict(swept), "dry_run": dry_run, **unfinished(outcome)}, default=str))
    else:
        _tell(swept, dry_run=dry_run)
        tell_unfinished(outcome)
    left = dry_run or any(
        each.error or each.spared_until or each.plight is Plight.STRAY for each in swept.findings
    )
    undone = outcome.failed or outcome.under_way
    return not (swept.unjudged or undone or (left and swept.findings))


def _tell(swept: Sweep, *, dry_run: bool) -> None:
    for finding in swept.findings:
        print(f"{finding.provider}: {finding.project_id} (database {finding.database_id}): {finding.plight}")
        print(f"  {_deed(finding, dry_run=dry_run)}")
    for reason in swept.unjudged:
        print(f"nothing was judged at {reason}")
    if not swept.findings and not swept.unjudged:
        print("no orphans")


def _deed(finding: Finding, *, dry_run: bool) -> str:
    if finding.plight is Plight.STRAY:
        return "left to you"
    if dry_run:
        return "nothing was done: this is a dry run"
    if finding.spared_until:
        return (
            f"spared: a sweep after {moment(finding.spared_until)} deletes it."
            " Is the control plane an old backup?"
        )
    if finding.error:
        return f"not done: {finding.error}"
    return "deleted" if finding.plight in DISCARDED else "handed to the reconciler"
