"""The guard: any text in, a verdict out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from agentdb_mcp.core.guard.analysis import NotOneStatement, analyse
from agentdb_mcp.core.guard.cache import VerdictCache
from agentdb_mcp.core.guard.classes import StatementClass, Tool
from agentdb_mcp.core.guard.decision import ApprovedSql, decide
from agentdb_mcp.core.guard.facts import Facts
from agentdb_mcp.core.guard.gates import gate
from agentdb_mcp.core.guard.judges import Objection
from agentdb_mcp.core.guard.parser import SyntaxRefused, TooDeep
from agentdb_mcp.core.guard.policy import Policy
from agentdb_mcp.core.guard.second import SecondView, disagreement, second_view
from agentdb_mcp.core.guard.verdict import Verdict, refusal

DEFAULT_CACHE_BYTES: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what it rests on; facts and the second view are for logs and for `--explain`."""

    verdict: Verdict
    approved: ApprovedSql | None
    facts: Facts | None
    second: SecondView | None
    fault: str = ""
    """What broke inside the guard, by the type of its exception: never its text, which could hold SQL."""


Notice = Callable[[Judgement], None]
"""Told of what an operator should hear of: parsers that disagree, with both views, and faults of ours."""

_WORTH_NOTICE: Final = frozenset({"parser.disagreement", "guard.internal"})


class Guard:
    """Judges statements. Stateless but for a cache of verdicts; safe to use from several threads."""

    def __init__(self, *, cache_bytes: int = DEFAULT_CACHE_BYTES, notice: Notice | None = None) -> None:
        self._cache: VerdictCache[Judgement] = VerdictCache(cache_bytes)
        self._notice = notice

    def approve(self, sql: str, policy: Policy, tool: Tool | None = None) -> ApprovedSql:
        """The statement, approved for this tool (any tool, when None).

        Raises Denied("statement_denied") with the rule, or Invalid("sql_syntax"); nothing else ever.
        """
        judgement = self.judge(sql, policy, tool)
        if judgement.approved is None:
            raise judgement.verdict.error() from None
        return judgement.approved

    def inspect(self, sql: str, policy: Policy, tool: Tool | None = None) -> Verdict:
        """The same decision as words. Never raises."""
        return self.judge(sql, policy, tool).verdict

    def judge(self, sql: str, policy: Policy, tool: Tool | None = None) -> Judgement:
        """The decision and what it rests on. Never raises."""
        stopped = gate(sql, policy.limits)
        if stopped is not None:
            return _refused(Objection(*stopped), policy)
        key = (sql, policy.digest, tool)
        kept = self._cache.get(key)
        if kept is None:
            kept = _judged(sql, policy, tool)
            if self._notice is not None and kept.verdict.rule in _WORTH_NOTICE:
                self._notice(kept)
            if kept.verdict.rule != "guard.internal":  # what failed once may work the next time
                self._cache.put(key, kept, len(sql))
        return kept


def _judged(sql: str, policy: Policy, tool: Tool | None) -> Judgement:
    try:
        return _considered(sql, policy, tool)
    except SyntaxRefused as error:
        return _refused(Objection("syntax", error.message, error.position), policy)
    except NotOneStatement as error:
        rule = "statement.many" if error.count else "statement.none"
        return _refused(Objection(rule, str(error.count), error.position), policy)
    except (TooDeep, RecursionError):
        return _refused(Objection("text.depth", "more levels than can be analysed", None), policy)
    except Exception as error:  # noqa: BLE001 - fail closed: whatever breaks here, the statement does not pass
        refused = _refused(Objection("guard.internal", "", None), policy)
        return replace(refused, fault=type(error).__name__)


def _considered(sql: str, policy: Policy, tool: Tool | None) -> Judgement:
    facts = analyse(sql, policy.limits)
    decided = decide(sql, facts, policy, tool)
    if isinstance(decided, Objection):
        return _refused(decided, policy, facts)
    view = second_view(sql, policy.second)
    quarrel = disagreement(facts, view) if view is not None else None
    if quarrel is not None:
        words, name = quarrel
        objection = Objection("parser.disagreement", words, name.position if name else None)
        return _refused(objection, policy, facts, view)
    return Judgement(Verdict(True, facts.klass), decided, facts, view)


def _refused(
    objection: Objection, policy: Policy, facts: Facts | None = None, view: SecondView | None = None
) -> Judgement:
    klass = facts.klass if facts is not None else StatementClass.UNKNOWN
    return Judgement(refusal(objection, klass, policy), None, facts, view)
