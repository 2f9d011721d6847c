"""A change that is made, looked at and taken back."""

from agentdb_mcp.core.changes import Outcome
from agentdb_mcp.core.errors import SqlFailed
from agentdb_mcp.execution.atomic import Atomic, check_deferred
from agentdb_mcp.execution.counting import counts, difference
from agentdb_mcp.execution.samples import Samples
from agentdb_mcp.execution.session import Session


class Rehearsal(Atomic):
    """A change in a transaction that is rolled back, whatever comes of it."""

    async def _transaction(self, session: Session) -> Outcome:
        try:
            return await super()._transaction(session)
        except SqlFailed as error:
            error.context["dry_run"] = "the change would fail like this; nothing of it was kept"
            raise

    async def _within(self, session: Session) -> Outcome:
        before = await counts(session)
        results = await self._run_steps(session)
        await check_deferred(session)
        touched = difference(before, await counts(session))
        samples = await Samples.after(session, touched)
        await session.roll_back()
        return Outcome(results, await samples.completed(session))
