"""One call: a statement with its parameters and caps, from a session of a pool to a result or an error."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import Caps, JsonValue, ResultSet
from agentdb_mcp.execution.answers import Answer, Prepared
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.cutting import characters_for_rows, cut, cut_cells, longest_cell
from agentdb_mcp.execution.estimates import estimated_rows
from agentdb_mcp.execution.failures import row_too_large
from agentdb_mcp.execution.paging import following
from agentdb_mcp.execution.session import Session

_COUNTED: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


class Call(Attempt[ResultSet]):
    """One statement, in a transaction of its own that ends with it."""

    def __init__(
        self, text: str, params: Sequence[JsonValue], caps: Caps, *, reads: bool, keep: bool
    ) -> None:
        super().__init__(caps, reads=reads, lasts=not reads)
        self._text = text
        self._params = params
        self._keep = keep
        self._to_the_end = not reads
        """Whether it has to be run in full, whatever is wanted of what it returns."""

    async def run_within(self, session: Session) -> ResultSet:
        """The same as a part of the transaction open on this session; what the driver raises passes."""
        return self._result(*await self._prepare_and_execute(session), session)

    async def perform(self, session: Session) -> ResultSet:
        return self._result(*await self._answer(session), session)

    async def _answer(self, session: Session) -> tuple[Prepared, Answer]:
        try:
            return await self._prepare_and_execute(session)
        except asyncpg.InvalidCachedStatementError:
            # A table changed its shape since. PostgreSQL says so before it runs anything.
            session.forget(self._text)
            await session.roll_back()
            return await self._prepare_and_execute(session)

    async def _prepare_and_execute(self, session: Session) -> tuple[Prepared, Answer]:
        if session.is_held and self.reads:
            await session.begin("READ ONLY")  # the writer's session
        prepared = await self._prepare(session)
        answer = await session.execute_text(
            prepared,
            self._params,
            most_rows=self.caps.rows + 1,
            allowance=self.caps.bytes,
            longest=self._longest(prepared),
            to_the_end=self._to_the_end,
        )
        return prepared, answer

    async def _prepare(self, session: Session) -> Prepared:
        return await session.prepare_text(self._text, keep=self._keep)

    def _longest(self, prepared: Prepared) -> int:
        return longest_cell(self.caps, prepared.columns, prepared.wide)

    def _result(self, prepared: Prepared, answer: Answer, session: Session) -> ResultSet:
        room = characters_for_rows(self.caps, prepared.columns) - sum(map(len, session.notices))
        characters = self.caps.bytes - session.meter.left
        rows, truncated = cut(answer.rows, self.caps, characters, room)
        if truncated == "bytes" and not rows and self.reads:
            raise row_too_large(self.caps.bytes)
        return ResultSet(
            columns=prepared.columns,
            rows=rows,
            command=answer.tag,
            affected=_affected(answer.tag),
            truncated=truncated,
            total=len(answer.rows) if self.reads and len(answer.rows) <= self.caps.rows else None,
            cut=cut_cells(rows) if session.meter.cuts else (),
            longest=self._longest(prepared),
            size=session.received,
            notices=tuple(session.notices),
        )


class Read(Call):
    """A read of an agent's: when it is cut, it says how long it is, or about."""

    def __init__(self, text: str, params: Sequence[JsonValue], caps: Caps) -> None:
        super().__init__(text, params, caps, reads=True, keep=True)

    async def perform(self, session: Session) -> ResultSet:
        found = await super().perform(session)
        if found.truncated is None or found.total is not None:
            return found
        guess = await estimated_rows(session, self._text, self._params)
        return replace(found, estimate=guess) if guess is not None and guess > len(found.rows) else found


class Continuation(Call):
    """A read that goes on after the pages it gave before."""

    def __init__(
        self, text: str, params: Sequence[JsonValue], caps: Caps, *, pages: Sequence[Page], most_bytes: int
    ) -> None:
        super().__init__(text, params, caps, reads=True, keep=True)
        self._pages = pages
        self._most_bytes = most_bytes
        """Of a page before: it may have been given under higher caps than these."""

    async def _prepare_and_execute(self, session: Session) -> tuple[Prepared, Answer]:
        await session.begin("READ ONLY")
        prepared = await self._prepare(session)
        await session.open_portal(prepared, self._params)
        answer = await following(
            session,
            prepared,
            self._pages,
            caps=self.caps,
            longest=self._longest(prepared),
            most_bytes=self._most_bytes,
        )
        await session.roll_back()
        return prepared, answer


def _affected(tag: str) -> int | None:
    """`INSERT 0 3`, `UPDATE 3`: the last word counts the rows."""
    words = tag.split()
    return int(words[-1]) if words and words[0] in _COUNTED else None
