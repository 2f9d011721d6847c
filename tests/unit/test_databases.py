"""What is wanted and what was seen decide the next step, and nothing else does."""

import pytest

from agentdb_mcp.core.databases import Action, Desired, Observed, plan

CASES = [
    # wanted           seen               credentials  next
    (Desired.ACTIVE, Observed.UNKNOWN, False, Action.CREATE),
    (Desired.ACTIVE, Observed.ACTIVE, False, Action.CREATE),
    (Desired.ACTIVE, Observed.DELETED, True, Action.CREATE),
    (Desired.ACTIVE, Observed.UNKNOWN, True, Action.RESUME),
    (Desired.ACTIVE, Observed.PAUSED, True, Action.RESUME),
    (Desired.ACTIVE, Observed.ACTIVE, True, None),
    (Desired.PAUSED, Observed.UNKNOWN, False, Action.CREATE),
    (Desired.PAUSED, Observed.DELETED, True, Action.CREATE),
    (Desired.PAUSED, Observed.UNKNOWN, True, Action.PAUSE),
    (Desired.PAUSED, Observed.ACTIVE, True, Action.PAUSE),
    (Desired.PAUSED, Observed.PAUSED, True, None),
    (Desired.DELETED, Observed.UNKNOWN, False, Action.DELETE),
    (Desired.DELETED, Observed.ACTIVE, True, Action.DELETE),
    (Desired.DELETED, Observed.PAUSED, True, Action.DELETE),
    (Desired.DELETED, Observed.DELETED, False, None),
]


@pytest.mark.parametrize(("desired", "observed", "has_credentials", "action"), CASES)
def test_the_next_step(
    desired: Desired, observed: Observed, *, has_credentials: bool, action: Action | None
) -> None:
    assert plan(desired, observed, has_credentials=has_credentials) is action


def test_every_pair_of_states_has_an_answer_and_unknown_always_leads_somewhere() -> None:
    for desired in Desired:
        for has_credentials in (True, False):
            assert plan(desired, Observed.UNKNOWN, has_credentials=has_credentials) is not None
            for observed in Observed:
                assert plan(desired, observed, has_credentials=has_credentials) in {*Action, None}
