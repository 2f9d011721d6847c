"""What kind of act a statement is, and which tool it belongs to."""

from enum import StrEnum
from typing import Literal

Tool = Literal["query", "execute", "execute_ddl"]
"""The three tools that take SQL."""

TOOLS: tuple[Tool, ...] = ("query", "execute", "execute_ddl")


class StatementClass(StrEnum):
    """From the harmless to the never allowed. A statement has the highest class of what it holds."""

    READ = "read"
    WRITE = "write"
    """Changes rows, sequences or row locks."""
    MAINTENANCE = "maintenance"
    """VACUUM, ANALYZE, REINDEX, CLUSTER: changes how data is stored, not what it says."""
    DDL = "ddl"
    """Changes definitions."""
    TRANSACTION = "transaction"
    """BEGIN, COMMIT, SAVEPOINT …: each call is one transaction of its own."""
    SESSION = "session"
    """SET, LISTEN, PREPARE, cursors, LOCK …: would outlive the call, or has no effect within one."""
    COPY = "copy"
    SERVER = "server"
    """Databases, roles, files, replication, foreign servers: beyond the agent's own database."""
    UNKNOWN = "unknown"
    """Could not be analysed."""


_RANK = {klass: rank for rank, klass in enumerate(StatementClass)}

_TOOL_OF: dict[StatementClass, Tool] = {
    StatementClass.READ: "query",
    StatementClass.WRITE: "execute",
    StatementClass.MAINTENANCE: "execute_ddl",
    StatementClass.DDL: "execute_ddl",
}


def highest(one: StatementClass, other: StatementClass) -> StatementClass:
    """The more far-reaching of the two."""
    return one if _RANK[one] >= _RANK[other] else other


def tool_of(klass: StatementClass) -> Tool | None:
    """The tool that takes statements of this class; None when no tool does."""
    return _TOOL_OF.get(klass)
