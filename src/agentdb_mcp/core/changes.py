"""Changes: what an agent asks for in one atomic call, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from agentdb_mcp.core.errors import Invalid
from agentdb_mcp.core.ids import WorkspaceId
from agentdb_mcp.core.results import JsonValue, ResultSet

MOST_STATEMENTS: Final = 50
"""Of one call."""

LONGEST_KEY: Final = 200
"""Characters of an idempotency key."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the agent's statements, as it came, with the values for $1, $2, …"""

    sql: str
    params: Sequence[JsonValue] = ()


def text_of(statements: Sequence[Statement]) -> str:
    """All of a call's SQL as one text, for a record of it."""
    return ";\n".join(each.sql for each in statements)


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key: what makes a call that is sent again the same call."""

    workspace_id: WorkspaceId
    text: str
    digest: str
    """Of the tool and the statements: equal digests, equal calls."""

    @classmethod
    def of(cls, workspace_id: WorkspaceId, text: str, tool: str, statements: Sequence[Statement]) -> Self:
        """The key of that call. Raises Invalid("bad_argument") for an empty, long or unprintable one."""
        if not (0 < len(text) <= LONGEST_KEY and text.isprintable()):
            raise Invalid(
                "bad_argument",
                f"idempotency_key must be 1 to {LONGEST_KEY} printable characters.",
                "A random UUID is a good one: made once for each change, sent again with each retry of it.",
            )
        asked = json.dumps([tool, [[each.sql, each.params] for each in statements]])
        return cls(workspace_id, text, sha256(asked.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Sample:
    """A few rows of a table before and after a change, each cell as PostgreSQL's text, cut short."""

    columns: tuple[str, ...]
    before: tuple[tuple[str | None, ...], ...]
    """Rows that were updated or deleted."""
    after: tuple[tuple[str | None, ...], ...]
    """Rows that were updated or inserted, in no order that pairs them with those before."""


@dataclass(frozen=True, slots=True)
class Touched:
    """How many rows of one table a change touched, with its triggers and cascades."""

    schema: str
    table: str
    inserted: int
    updated: int
    deleted: int
    sample: Sample | None = None
    """None where none could be had in the short time there is for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the statements of one call did, in order, or would have done."""

    results: tuple[ResultSet, ...]
    touched: tuple[Touched, ...] = ()
    """By table, for a change that was only rehearsed."""
    replayed: bool = False
    """Whether an earlier call with the same key did it, and this one nothing."""
