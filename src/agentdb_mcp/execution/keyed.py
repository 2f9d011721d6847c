"""A change that is made once, however often it is sent (docs/explanation/writes.md)."""

from collections.abc import Sequence
from typing import Final, LiteralString

import asyncpg

from agentdb_mcp.core.changes import Key, Outcome
from agentdb_mcp.core.errors import AgentDbError, Denied, Invalid, Unavailable
from agentdb_mcp.core.results import Caps, Cell
from agentdb_mcp.execution.asking import ask
from agentdb_mcp.execution.atomic import Atomic, Step
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.records import read_record, record_of
from agentdb_mcp.execution.session import Session

PLACE: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS agentdb;
COMMENT ON SCHEMA agentdb IS 'Kept by agentdb: which calls with an idempotency key were made.';
CREATE TABLE IF NOT EXISTS agentdb.call (
    workspace_id text NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    outcome text,
    made_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (workspace_id, key)
);
ALTER TABLE agentdb.call ALTER key SET STATISTICS 0, ALTER outcome SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS call_made_at ON agentdb.call (made_at);
"""
"""Made by the writer in its own database when the first key comes.

Without statistics: pg_stats, which agents may read, would show keys and returned rows to all who share it.
"""

_CLAIM: Final[LiteralString] = """
WITH expired AS (
    DELETE FROM agentdb.call WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM agentdb.call
         WHERE made_at < pg_catalog.now() - interval '24 hours' AND (workspace_id, key) <> ($1, $2)
         ORDER BY made_at LIMIT 20 FOR UPDATE SKIP LOCKED))
)
INSERT INTO agentdb.call AS c (workspace_id, key, digest) VALUES ($1, $2, $3)
ON CONFLICT (workspace_id, key)
 DO UPDATE SET digest = excluded.digest, outcome = NULL, made_at = excluded.made_at
 WHERE c.made_at < pg_catalog.now() - interval '24 hours'
RETURNING true
"""
"""A row when the key is ours now. Whoever comes second waits here until the first has committed or failed."""

_FIND: Final[LiteralString] = "SELECT digest, outcome FROM agentdb.call WHERE workspace_id = $1 AND key = $2"

_RECALL: Final[LiteralString] = f"{_FIND} AND made_at > pg_catalog.now() - interval '24 hours'"

_RECORD: Final[LiteralString] = """
UPDATE agentdb.call SET outcome = $3 WHERE workspace_id = $1 AND key = $2 RETURNING true
"""

_NO_PLACE: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
_MADE_MEANWHILE: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateSchemaError,
    asyncpg.DuplicateTableError,
    asyncpg.DuplicateObjectError,
)
_CLAIMED: Final = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)
"""The first call has not ended within the role's lock_timeout, or its statement_timeout."""


class Keyed(Atomic):
    """The key's row and the change are one transaction: there is never one without the other."""

    out_of_doubt = "Send the same call again, with its idempotency_key: it gets what was done, or does it."

    # A second call must see what the first committed while it waited, whatever the role's default.
    begins: LiteralString = "ISOLATION LEVEL READ COMMITTED READ WRITE"

    def __init__(self, steps: Sequence[Step], caps: Caps, key: Key) -> None:
        super().__init__(steps, caps)
        self._key = key
        self._claiming = False

    def late(self) -> AgentDbError:
        return _in_progress() if self._claiming else super().late()

    def _may_repeat(self, session: Session, error: BaseException) -> bool:
        """Also when a commit was not answered: the key tells what became of it."""
        return super()._may_repeat(session, error) or (self.lasts and not session.is_flooded())

    def _lost(self, session: Session) -> AgentDbError:
        error = super()._lost(session)
        if self.lasts:
            error.hint = self.out_of_doubt
        return error

    async def _transaction(self, session: Session) -> Outcome:
        try:
            return await super()._transaction(session)
        except _NO_PLACE:
            if not self._claiming:
                raise
        await _make_place(session)
        return await super()._transaction(session)

    async def _within(self, session: Session) -> Outcome:
        found = await self._claim(session)
        if found is not None:
            await session.roll_back()
            return found
        outcome = Outcome(await self._run_steps(session))
        await self._record(session, outcome)
        await self._commit(session)
        return outcome

    async def _claim(self, session: Session) -> Outcome | None:
        """None when the key is this call's, else what came of the call that has it."""
        self._claiming = True
        try:
            claimed = await ask(session, _CLAIM, self._of_key(self._key.digest))
            rows = () if claimed else await ask(session, _FIND, self._of_key())
        except _CLAIMED:
            raise _in_progress() from None
        self._claiming = False
        if claimed:
            return None
        if not rows:  # it was there, expired meanwhile and was cleared away
            raise _in_progress()
        return _recorded(rows, self._key)

    async def _record(self, session: Session, outcome: Outcome) -> None:
        if not await ask(session, _RECORD, self._of_key(record_of(outcome))):
            raise Unavailable(
                "internal", "The change removed the record of its own key; nothing of it was made."
            )

    def _of_key(self, *more: str) -> tuple[str, ...]:
        return (self._key.workspace_id, self._key.text, *more)


class Recall(Attempt[Outcome | None]):
    """What the call did that has the key, if there was one; nothing is run."""

    def __init__(self, caps: Caps, key: Key) -> None:
        super().__init__(caps, reads=False, lasts=False)
        self._key = key

    async def perform(self, session: Session) -> Outcome | None:
        try:
            rows = await ask(session, _RECALL, (self._key.workspace_id, self._key.text))
        except _NO_PLACE:
            return None
        return _recorded(rows, self._key) if rows else None


def _recorded(rows: Sequence[Sequence[Cell]], key: Key) -> Outcome:
    ((digest, outcome),) = rows
    if digest != key.digest:
        raise _another()
    return read_record(str(outcome))


async def _make_place(session: Session) -> None:
    try:
        await session.execute(PLACE)
    except _MADE_MEANWHILE:
        return
    except asyncpg.InsufficientPrivilegeError:
        raise Denied(
            "forbidden",
            "The agent's role may not make the schema agentdb, in which this database keeps its keys.",
            "Ask whoever runs this server to reconcile the database, or send the call without a key.",
        ) from None


def _in_progress() -> Unavailable:
    return Unavailable(
        "call_in_progress",
        "The first call with this idempotency_key is still running; this one did nothing.",
        "Send the same call again in a moment: it returns what the first one did.",
    )


def _another() -> Invalid:
    return Invalid(
        "idempotency_conflict",
        "This idempotency_key was used within the last 24 hours for another call on this database.",
        "Retry with the same tool, statements and params, or make a new key for a new change.",
    )
