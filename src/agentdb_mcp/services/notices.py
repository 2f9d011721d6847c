"""What an operator should hear of the guard: parsers that disagree, with both views, and faults of ours."""

import logging

from agentdb_mcp.core.guard import Judgement

_log = logging.getLogger(__name__)


def log_judgement(judgement: Judgement) -> None:
    """A warning with classes and relation names; never the statement, its constants or a fault's words."""
    verdict, facts, second = judgement.verdict, judgement.facts, judgement.second
    _log.warning(
        "guard %s: PostgreSQL's grammar sees class %s, relations %s; sqlglot sees %s, relations %s; fault %s",
        verdict.rule,
        verdict.statement_class,
        sorted(facts.relations()) if facts else "-",
        "-" if second is None else "a read" if second.reads_only else "no read",
        sorted(second.relations) if second else "-",
        judgement.fault or "-",
    )
