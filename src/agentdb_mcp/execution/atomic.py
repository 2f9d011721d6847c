"""Statements in one transaction, in order: all of them take effect, or none."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, LiteralString

import asyncpg

from agentdb_mcp.core.changes import Outcome
from agentdb_mcp.core.consent import TooManyRows, lost_rows
from agentdb_mcp.core.errors import AgentDbError, SqlFailed, Unavailable
from agentdb_mcp.core.guard import ApprovedSql, StatementClass
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.calls import Call
from agentdb_mcp.execution.counting import counts, difference
from agentdb_mcp.execution.cutting import size
from agentdb_mcp.execution.failures import LOST, raised_apart, translated
from agentdb_mcp.execution.session import Session

_CHECK_NOW: Final[LiteralString] = "SET CONSTRAINTS ALL IMMEDIATE"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a change, approved."""

    sql: ApprovedSql
    params: Sequence[JsonValue]

    @property
    def comes_again(self) -> bool:
        """Whether it is worth keeping prepared."""
        return self.sql.statement_class in {StatementClass.READ, StatementClass.WRITE}


class _Part(Call):
    """One step's call, within the caps that the steps before it left."""

    def __init__(self, step: Step, caps: Caps) -> None:
        super().__init__(step.sql.text, step.params, caps, reads=False, keep=step.comes_again)
        self._to_the_end = step.sql.statement_class is not StatementClass.READ


class Atomic(Attempt[Outcome]):
    """A change of one or several steps. Nothing lasts before the commit is sent."""

    begins: LiteralString = "READ WRITE"
    out_of_doubt: str = "Look at the data before running it again."

    def __init__(self, steps: Sequence[Step], caps: Caps) -> None:
        super().__init__(caps, reads=False, lasts=False)
        self._steps = steps

    def late(self) -> AgentDbError:
        if not self.lasts:
            return super().late()
        return Unavailable(
            "database_unavailable",
            f"The time limit of {self.caps.seconds:g} s was reached during the commit; "
            "whether the change took effect is not known.",
            self.out_of_doubt,
        )

    async def perform(self, session: Session) -> Outcome:
        try:
            return await self._transaction(session)
        except asyncpg.InvalidCachedStatementError:
            # A table changed its shape since a statement was kept. Nothing lasts: all of it once more.
            for step in self._steps:
                session.forget(step.sql.text)
            return await self._transaction(session)

    async def _transaction(self, session: Session) -> Outcome:
        self.lasts = False
        await session.begin(self.begins)
        try:
            return await self._within(session)
        except LOST:
            raise
        except (asyncpg.PostgresError, AgentDbError):
            await session.roll_back()
            raise

    async def _within(self, session: Session) -> Outcome:
        """What stands between the beginning of the transaction and its end, which included."""
        outcome = Outcome(await self._run_steps(session))
        await self._commit(session)
        return outcome

    async def _run_steps(self, session: Session) -> tuple[ResultSet, ...]:
        """Raises TooManyRows when they change more rows than they may."""
        if self.caps.changes is None:
            return await self._run_each(session)
        before = await counts(session)
        results = await self._run_each(session)
        if not session.is_held:  # there constraints stay deferred for the statements to come
            await check_deferred(session)
        touched = difference(before, await counts(session))
        if lost_rows(touched) > self.caps.changes:
            raise TooManyRows(touched)
        return results

    async def _run_each(self, session: Session) -> tuple[ResultSet, ...]:
        left, results = self.caps, list[ResultSet]()
        for number, step in enumerate(self._steps, 1):
            with self._named(number):
                made = await _Part(step, left).run_within(session)
            left = left.beside(len(made.rows), size(made.rows) if made.rows else 0)
            results.append(made)
        return tuple(results)

    async def _commit(self, session: Session) -> None:
        self.lasts = session.sent = True
        try:
            await session.commit()
        except LOST:
            raise
        except asyncpg.PostgresError as error:
            raise at_commit(error) from None

    @contextmanager
    def _named(self, number: int) -> Generator[None]:
        """What fails in here is said of that statement, where there are several."""
        try:
            yield
        except (*LOST, asyncpg.InvalidCachedStatementError):
            raise
        except (asyncpg.PostgresError, AgentDbError) as error:
            said = error if isinstance(error, AgentDbError) else translated(error)
            said.statement = number if len(self._steps) > 1 else None
            raise said from None


async def check_deferred(session: Session) -> None:
    """Runs now what would wait for the commit: constraints, and triggers that are deferred like them."""
    try:
        with raised_apart():
            await session.execute(_CHECK_NOW)
    except LOST:
        raise
    except asyncpg.PostgresError as error:
        raise at_commit(error) from None


def at_commit(error: asyncpg.PostgresError) -> AgentDbError:
    """A refusal of the whole, after each statement had passed: of a deferred constraint, for instance."""
    said = translated(error)
    if isinstance(said, SqlFailed):
        said.context["when"] = "at the commit, where deferred constraints are checked"
    return said
