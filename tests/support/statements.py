"""Approvals the guard would not give: the engine has to hold without it."""

from agentdb_mcp.core.guard import ApprovedSql, StatementClass
from agentdb_mcp.core.guard.facts import Facts


def approved(
    text: str, klass: StatementClass = StatementClass.READ, found: StatementClass | None = None
) -> ApprovedSql:
    """As the guard gives it; `found` is the class of what the text holds, where it is run as another."""
    sql = object.__new__(ApprovedSql)
    object.__setattr__(sql, "text", text)
    object.__setattr__(sql, "statement_class", klass)
    object.__setattr__(sql, "facts", Facts(found or klass, (), (), (), (), 0, 0))
    return sql


def write(text: str) -> ApprovedSql:
    return approved(text, StatementClass.WRITE)


def ddl(text: str) -> ApprovedSql:
    return approved(text, StatementClass.DDL)
