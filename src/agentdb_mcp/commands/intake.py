"""`agentdb import`: a line each, and what became of it."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentdb_mcp.core.errors import AgentDbError

if TYPE_CHECKING:
    from agentdb_mcp.services.importing import Importer


async def take_over(importer: "Importer", lines: Sequence[str], *, dry_run: bool) -> bool:
    """Each line by itself: one that fails holds no other up. True: none failed. No value is repeated."""
    failed = 0
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            print(f"line {number}: {await _taken(importer, text, dry_run=dry_run)}")
        except AgentDbError as error:
            failed += 1
            print(f"line {number}: error {error.code}: {error}", file=sys.stderr)
    return not failed


async def _taken(importer: "Importer", text: str, *, dry_run: bool) -> str:
    line = importer.read(text)
    given = line.given
    whose = f"workspace {given.workspace_id}" if given.workspace_id else f"user {given.user_id}"
    if dry_run:
        return f"{whose}: can be read"
    row = await importer.carry_out(line)
    return f"{whose}: {row.kind} database {row.id} is {row.desired}"
