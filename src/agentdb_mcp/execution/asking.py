"""Statements of our own beside an agent's, on the same session and in the same transaction."""

from collections.abc import Sequence
from typing import Final, LiteralString

from agentdb_mcp.core.results import Cell, JsonValue
from agentdb_mcp.execution.session import MOST_BYTES, Session

_MOST_ROWS: Final = 10_000


async def ask(
    session: Session, sql: LiteralString, values: Sequence[JsonValue] = (), *, keep: bool = True
) -> tuple[tuple[Cell, ...], ...]:
    """Its rows; what the driver raises passes. Not before the rows of an agent's statement are cut."""
    prepared = await session.prepare_text(sql, keep=keep)
    answer = await session.execute_text(prepared, values, most_rows=_MOST_ROWS, allowance=MOST_BYTES)
    return answer.rows
