"""A decision in words, for the agent and for people."""

from dataclasses import dataclass
from typing import Any

from agentdb_mcp.core.errors import AgentDbError, Denied, Invalid, Refusal
from agentdb_mcp.core.guard.classes import StatementClass
from agentdb_mcp.core.guard.judges import Objection
from agentdb_mcp.core.guard.policy import Policy
from agentdb_mcp.core.guard.rules import RULES


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed, or refused by a rule. `position` is the 1-based character in the agent's text."""

    allowed: bool
    statement_class: StatementClass
    rule: str | None = None
    message: str = ""
    hint: str = ""
    found: str = ""
    position: int | None = None

    def error(self) -> AgentDbError:
        """The refusal as the error that agents see."""
        if self.rule == "syntax":
            return Invalid("sql_syntax", self.message, self.hint, position=self.position)
        refusal = Refusal(self.rule or "guard.internal", self.found, self.position)
        return Denied("statement_denied", self.message, self.hint, refusal=refusal)


def refusal(objection: Objection, klass: StatementClass, policy: Policy) -> Verdict:
    """The objection in the words of its rule."""
    rule = RULES[objection.rule]
    found = objection.found[:120]
    words: dict[str, Any] = {"policy": policy.name, "limit": policy.limits.max_bytes, **objection.words}
    message = rule.message.format(found=found, **words)
    return Verdict(
        False, klass, rule.id, message, rule.hint.format(found=found, **words), found, objection.position
    )
