"""The SQL guard: text -> facts -> decision -> ApprovedSql. See docs/explanation/guard.md."""

from agentdb_mcp.core.guard.classes import TOOLS, StatementClass, Tool, tool_of
from agentdb_mcp.core.guard.decision import ApprovedSql
from agentdb_mcp.core.guard.facts import Access, Extent, Loss, NameKind
from agentdb_mcp.core.guard.functions import calls_own
from agentdb_mcp.core.guard.grammar import GRAMMAR_MAJOR
from agentdb_mcp.core.guard.guard import Guard, Judgement
from agentdb_mcp.core.guard.keyset import Keyset, keyset_of
from agentdb_mcp.core.guard.parser import fingerprint
from agentdb_mcp.core.guard.policy import Policy, load_policies
from agentdb_mcp.core.guard.verdict import Verdict

__all__ = [
    "GRAMMAR_MAJOR",
    "TOOLS",
    "Access",
    "ApprovedSql",
    "Extent",
    "Guard",
    "Judgement",
    "Keyset",
    "Loss",
    "NameKind",
    "Policy",
    "StatementClass",
    "Tool",
    "Verdict",
    "calls_own",
    "fingerprint",
    "keyset_of",
    "load_policies",
    "tool_of",
]
