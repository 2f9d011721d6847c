"""How many rows a read would give, as the planner sees it: for results too long to be counted."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

import asyncpg

from agentdb_mcp.core.errors import AgentDbError
from agentdb_mcp.core.results import JsonValue
from agentdb_mcp.execution.failures import LOST
from agentdb_mcp.execution.plans import ASK
from agentdb_mcp.execution.session import Session

PATIENCE: Final = 0.25
"""Seconds that an answer which is there already may wait for this."""

_LONGEST_PLAN: Final = 1_000_000
"""Characters."""


async def estimated_rows(session: Session, text: str, params: Sequence[JsonValue]) -> int | None:
    """The planner's guess, None where it has none or is slow. What goes wrong here costs nobody the answer.

    In a held transaction nothing is asked: what went wrong would end it.
    """
    if session.is_held:
        return None
    try:
        async with asyncio.timeout(PATIENCE):
            prepared = await session.prepare_text(ASK + text, keep=False)
            answer = await session.execute_text(prepared, params, most_rows=1, allowance=_LONGEST_PLAN)
    except LOST:
        session.terminate()
        return None
    except (TimeoutError, asyncpg.PostgresError, AgentDbError):
        return None
    return _rows_of(str(answer.rows[0][0]))


def _rows_of(plan: str) -> int | None:
    try:
        return int(json.loads(plan)[0]["Plan"]["Plan Rows"])
    except (ValueError, KeyError, TypeError, LookupError):  # a plan that was cut, or one of another kind
        return None
