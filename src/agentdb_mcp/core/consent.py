"""A person's word on a statement that destroys: who can be asked, what is asked, and what was agreed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agentdb_mcp.core.changes import Touched
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Denied

Rule = Literal["allow", "ask-or-allow", "ask-or-refuse"]
"""What becomes of a destructive statement: `ask-or-…` says what holds where nobody can be asked."""

Reply = Literal["decline", "cancel", "silence", "failure"]
"""How a question went that was not agreed to: refused, closed, left unanswered, or never shown."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a person agreed to: one exact act, and so many rows of it."""

    act: str
    """A digest of who does what to which database."""
    rows: int | None = None
    """None: whatever it takes."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sits at the client's end, as far as this call is concerned."""

    can_be_asked: bool = False
    agreed: Agreement | None = None


NOBODY: Final = Person()


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask the person. The answer holds for this act alone."""

    kind: Kind
    text: str
    agreement: Agreement
    """What a yes means."""


class Unconfirmed(Denied):
    """Nothing was done: a person is to be asked first. To whoever does not ask, a refusal like any other."""

    def __init__(self, question: Question) -> None:
        super().__init__(
            "not_confirmed",
            "This destroys data and needs a person's confirmation, which was not given.",
            "Ask the user, and change less at once where that does.",
        )
        self.question = question


class TooManyRows(Denied):
    """A change that touched more rows than may go unasked; it was rolled back."""

    def __init__(self, touched: Sequence[Touched]) -> None:
        super().__init__("not_confirmed", f"It changes {lost_rows(touched):,} rows: nothing was kept.")
        self.touched = tuple(touched)


def lost_rows(touched: Sequence[Touched]) -> int:
    """Rows that are not what they were."""
    return sum(table.updated + table.deleted for table in touched)


_REPLIES: Final[dict[Reply, str]] = {
    "decline": "The user was asked and said no: nothing was run.",
    "cancel": "The user closed the question without an answer: nothing was run.",
    "silence": "The user was asked and did not answer in time: nothing was run.",
    "failure": "The user could not be asked, for the client failed to show the question: nothing was run.",
}


def unconfirmed(reply: Reply) -> Denied:
    """The refusal after a question that was not agreed to."""
    return Denied(
        "not_confirmed",
        _REPLIES[reply],
        "Do not send it again by yourself: tell the user what it would have destroyed and why you want it.",
    )
