"""Approvals the guard would not give: the engine has to hold without it."""

from agentdb_mcp.core.guard import ApprovedSql, StatementClass


def approved(text: str, klass: StatementClass = StatementClass.READ) -> ApprovedSql:
    sql = object.__new__(ApprovedSql)
    object.__setattr__(sql, "text", text)
    object.__setattr__(sql, "statement_class", klass)
    return sql


def write(text: str) -> ApprovedSql:
    return approved(text, StatementClass.WRITE)


def ddl(text: str) -> ApprovedSql:
    return approved(text, StatementClass.DDL)
