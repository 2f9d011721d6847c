"""What is wanted and what was seen decide the next step, and nothing else does."""

import itertools

import pytest

from agentdb_mcp.core.databases import Action, Desired, Observed, plan

CASES = [
    # wanted           seen              made  credentials kept next
    (Desired.ACTIVE, Observed.UNKNOWN, False, False, False, Action.CREATE),
    (Desired.ACTIVE, Observed.ACTIVE, True, False, False, Action.CREATE),
    (Desired.ACTIVE, Observed.DELETED, True, True, False, Action.CREATE),
    (Desired.ACTIVE, Observed.UNKNOWN, True, True, False, Action.RESUME),
    (Desired.ACTIVE, Observed.PAUSED, True, True, False, Action.RESUME),
    (Desired.ACTIVE, Observed.ACTIVE, True, True, False, None),
    (Desired.PAUSED, Observed.UNKNOWN, False, False, False, Action.CREATE),
    (Desired.PAUSED, Observed.UNKNOWN, True, False, False, Action.PAUSE),
    (Desired.PAUSED, Observed.DELETED, True, True, False, Action.PAUSE),
    (Desired.PAUSED, Observed.UNKNOWN, True, True, False, Action.PAUSE),
    (Desired.PAUSED, Observed.ACTIVE, True, True, False, Action.PAUSE),
    (Desired.PAUSED, Observed.PAUSED, True, True, False, None),
    (Desired.PAUSED, Observed.PAUSED, True, False, False, None),
    (Desired.DELETED, Observed.UNKNOWN, True, False, False, Action.DELETE),
    (Desired.DELETED, Observed.ACTIVE, True, False, False, Action.DELETE),
    (Desired.DELETED, Observed.PAUSED, True, False, False, Action.DELETE),
    (Desired.DELETED, Observed.DELETED, True, False, False, None),
    (Desired.DELETED, Observed.UNKNOWN, True, False, True, Action.PAUSE),
    (Desired.DELETED, Observed.ACTIVE, True, False, True, Action.PAUSE),
    (Desired.DELETED, Observed.PAUSED, True, False, True, None),
    (Desired.DELETED, Observed.DELETED, True, False, True, None),
]


@pytest.mark.parametrize(("desired", "observed", "made", "has_credentials", "kept", "action"), CASES)
def test_the_next_step(
    desired: Desired,
    observed: Observed,
    *,
    made: bool,
    has_credentials: bool,
    kept: bool,
    action: Action | None,
) -> None:
    assert plan(desired, observed, made=made, has_credentials=has_credentials, kept=kept) is action


def test_every_pair_of_states_has_an_answer_and_unknown_always_leads_somewhere() -> None:
    for desired, made, has_credentials in itertools.product(Desired, (True, False), (True, False)):
        assert plan(desired, Observed.UNKNOWN, made=made, has_credentials=has_credentials) is not None
        for observed in Observed:
            assert plan(desired, observed, made=made, has_credentials=has_credentials) in {*Action, None}
