"""A disagreement of the parsers is logged with both views and without the statement."""

import logging

import pytest

from agentdb_mcp.core.guard import Judgement, StatementClass, Verdict
from agentdb_mcp.core.guard.second import SecondView
from agentdb_mcp.services.notices import log_judgement


def test_both_views_are_logged_and_no_constant(caplog: pytest.LogCaptureFixture) -> None:
    verdict = Verdict(False, StatementClass.READ, "parser.disagreement", "message with 'hunter2'")
    second = SecondView(reads_only=True, relations=("a",), identifiers=frozenset({"hunter2"}))
    with caplog.at_level(logging.WARNING):
        log_judgement(Judgement(verdict, None, None, second))
    (line,) = caplog.messages
    assert "parser.disagreement" in line
    assert "sqlglot sees a read, relations ['a']" in line
    assert "hunter2" not in line


def test_a_fault_of_ours_is_logged_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    verdict = Verdict(False, StatementClass.UNKNOWN, "guard.internal", "")
    with caplog.at_level(logging.WARNING):
        log_judgement(Judgement(verdict, None, None, None, "ZeroDivisionError"))
    assert "fault ZeroDivisionError" in caplog.text
