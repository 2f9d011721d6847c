"""Going on where an answer was cut, with nothing kept open between the calls (docs/adr/0011-cursors.md).

The statement runs again, and what was given before is held against what it gives now: only when that is the
same, cell by cell, the rows that follow are its continuation. All pages are then one result of one snapshot.
"""

from collections.abc import Sequence

from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.answers import Answer, Prepared
from agentdb_mcp.execution.session import Session


async def following(
    session: Session,
    prepared: Prepared,
    pages: Sequence[Page],
    *,
    caps: Caps,
    longest: int,
    most_bytes: int,
) -> Answer:
    """The rows of the open portal after those pages, one more than the cap; never more in memory than a page.

    Cells of more than `longest` characters are cut. No page before had more than `most_bytes`.

    Raises Missing("cursor_expired").
    """
    for page in pages:
        # A text's characters are at most its bytes, but an array's literal may be longer than its JSON.
        given = await session.next_rows(
            prepared, most_rows=page.rows, allowance=2 * most_bytes, longest=page.longest
        )
        if Page.of(prepared.columns, given.rows, page.longest) != page:
            raise changed()
    return await session.next_rows(prepared, most_rows=caps.rows + 1, allowance=caps.bytes, longest=longest)


def changed() -> Missing:
    """What is said when a reading cannot go on where it was cut."""
    return Missing(
        "cursor_expired",
        "The statement no longer gives the rows it gave before: "
        "the data or the columns changed, or its order is left open.",
        "Run it again. ORDER BY a unique key and WHERE key > the last one goes on whatever changes.",
    )
