"""The words in which a person is asked about a destructive statement.

All of it but the frame is the agent's: names and statement cannot leave their lines, and no character that
moves, hides or colours others gets through. What is lost is told from the guard's facts, never from the
statement's own words.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agentdb_mcp.core.access import Principal, Target
from agentdb_mcp.core.changes import Key, Statement, Touched
from agentdb_mcp.core.consent import lost_rows
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import Extent, Loss
from agentdb_mcp.core.invisible import written
from agentdb_mcp.core.schema import Stake

MOST_LINES: Final = 20
"""Losses that a question names; it counts the others."""
_MOST_TABLES: Final = 10
_LONGEST_STATEMENT: Final = 1_500
_LONGEST_NAME: Final = 200

_WHERE: Final = {
    Kind.AGENT: "its own database (agent)",
    Kind.GLOBAL: "the database that all agents of the user share (global)",
}

Stakes = Mapping[Loss, Sequence[Stake]]
"""The tables each loss reaches, with what is in them."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who wants to do what: what a person is asked about and agrees to."""

    principal: Principal
    kind: Kind
    tool: str
    statements: Sequence[Statement]
    """Of other tools than `execute` and `execute_ddl`, what says to a person what they do."""
    key: Key | None = None

    def digest(self, target: Target) -> str:
        """Differs for every other caller, database, statement and parameter."""
        who = (self.principal.user_id, self.principal.workspace_id, target.database_id)
        # JSON quotes, so that no two acts give the same text.
        text = json.dumps([*who, self.tool, [(each.sql, list(each.params)) for each in self.statements]])
        return hashlib.sha256(text.encode()).hexdigest()


def about_losses(act: Act, losses: Sequence[Loss], stakes: Stakes) -> str:
    """The question about what is lost for certain."""
    told = [f"- {_loss(loss)}{_stake(stakes.get(loss, ()))}" for loss in dict.fromkeys(losses)]
    return _framed(act, "This cannot be undone:", told)


def about_rows(act: Act, touched: Sequence[Touched], most: int) -> str:
    """The question about rows that were counted in a run that was taken back."""
    head = f"It changes {_rows(lost_rows(touched))}, and up to {most:,} pass unasked. This cannot be undone:"
    told = [f"- {_touched(table)}" for table in touched if table.updated or table.deleted]
    return _framed(act, head, told)


def visible(text: str, longest: int = _LONGEST_NAME) -> str:
    """The text on one line as it really is: control, invisible and right-to-left marks as escapes."""
    shown = text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
    return written("".join(char if char.isprintable() else _escape(char) for char in shown))


def _framed(act: Act, head: str, told: Sequence[str]) -> str:
    workspace = visible(act.principal.workspace_id)
    return "\n".join(
        (
            f'The agent of workspace "{workspace}" wants to destroy something in {_WHERE[act.kind]}.',
            head,
            *_shortened(told),
            "Statement:" if len(act.statements) == 1 else f"{len(act.statements)} statements:",
            *_quoted(";\n".join(each.sql for each in act.statements)),
            "It runs only if you accept.",
        )
    )


def _loss(loss: Loss) -> str:
    name = visible(".".join(loss.path))
    rest = ", and what depends on it" if loss.cascades else ""
    if loss.extent is Extent.ROWS:
        fate = "is overwritten" if loss.act == "UPDATE" else "is deleted"
        return f"every row of {name} {fate} ({loss.act}){rest}"
    return f"{loss.act} {name}".strip() + rest


def _stake(tables: Sequence[Stake]) -> str:
    if not tables:
        return ""
    known = [table.rows for table in tables if table.rows is not None]
    about = f"about {_rows(sum(known))}" if known else "rows not counted yet"
    if len(tables) == 1:
        return f": {about}"
    names = ", ".join(visible(table.name) for table in tables[:_MOST_TABLES])
    more = f" and {len(tables) - _MOST_TABLES} more" if len(tables) > _MOST_TABLES else ""
    return f": {len(tables)} tables, {about} ({names}{more})"


def _touched(table: Touched) -> str:
    counts = {"overwritten": table.updated, "deleted": table.deleted}
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    return f"{visible(table.schema)}.{visible(table.table)}: {said}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _shortened(told: Sequence[str]) -> list[str]:
    if len(told) <= MOST_LINES:
        return list(told)
    return [*told[:MOST_LINES], f"- and {len(told) - MOST_LINES} more losses like these"]


def _quoted(text: str) -> list[str]:
    """The statement, its lines marked as its own; of a long one the beginning and the end."""
    if len(text) > _LONGEST_STATEMENT:
        half = _LONGEST_STATEMENT // 2
        left_out = f"… {len(text) - 2 * half:,} characters are not shown …"
        return [*_lines(text[:half]), left_out, *_lines(text[-half:])]
    return _lines(text)


def _lines(text: str) -> list[str]:
    lines = [f"| {visible(line, _LONGEST_STATEMENT)}" for line in text.strip("\n").split("\n")]
    if len(lines) <= 2 * MOST_LINES:
        return lines
    left_out = f"… {len(lines) - 2 * MOST_LINES:,} lines are not shown …"
    return [*lines[:MOST_LINES], left_out, *lines[-MOST_LINES:]]


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode() if char != "\t" else " "
