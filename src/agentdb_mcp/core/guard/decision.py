"""Facts and a policy -> the approved statement or an objection. Only here an `ApprovedSql` is made."""

from typing import Final, final

from agentdb_mcp.core.guard.classes import StatementClass, Tool
from agentdb_mcp.core.guard.facts import Facts
from agentdb_mcp.core.guard.judges import Objection, judge
from agentdb_mcp.core.guard.policy import Policy

_SEAL: Final = object()


@final
class ApprovedSql:
    """A statement that a policy accepts, in the agent's own words. The runner takes nothing else."""

    __slots__ = ("facts", "policy", "statement_class", "text")

    text: str
    """The original, never a regenerated one."""
    statement_class: StatementClass
    """What it is run as: all that `execute` takes may write, also a read that calls functions."""
    facts: Facts
    policy: str
    """Name of the policy that accepted it."""

    def __init__(
        self, seal: object, text: str, facts: Facts, policy: str, statement_class: StatementClass
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("only the guard's decision makes an ApprovedSql")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "statement_class", statement_class)
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "policy", policy)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an ApprovedSql does not change: {name}")

    def __repr__(self) -> str:
        return f"ApprovedSql({self.statement_class}, {self.facts.size} bytes, {self.policy})"


def decide(text: str, facts: Facts, policy: Policy, tool: Tool | None) -> ApprovedSql | Objection:
    """The statement, approved, or the first thing that stands in its way. Pure."""
    for objection in judge(facts, policy, tool):
        return objection
    run_as = StatementClass.WRITE if tool == "execute" else facts.klass
    return ApprovedSql(_SEAL, text, facts, policy.name, run_as)
