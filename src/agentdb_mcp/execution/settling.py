"""What waits for a transaction's commit, run before it: its rows are counted while it can be undone."""

from agentdb_mcp.core.consent import TooManyRows, lost_rows
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.atomic import check_deferred
from agentdb_mcp.execution.attempts import Attempt
from agentdb_mcp.execution.counting import counts, difference
from agentdb_mcp.execution.session import Session


class Settling(Attempt[None]):
    """Runs the deferred triggers of a held transaction. Raises TooManyRows; then they are deferred again."""

    def __init__(self, caps: Caps, most: int) -> None:
        super().__init__(caps, reads=False, lasts=True)
        self._most = most

    async def perform(self, session: Session) -> None:
        before = await counts(session)
        await check_deferred(session)
        touched = difference(before, await counts(session))
        if lost_rows(touched) > self._most:
            raise TooManyRows(touched)
