"""SQL text -> frozen facts, by the exact parser."""

from agentdb_mcp.core.guard.collector import Collector, Step
from agentdb_mcp.core.guard.facts import Facts
from agentdb_mcp.core.guard.lexer import code
from agentdb_mcp.core.guard.parser import Offsets, TooDeep, Tree, parse
from agentdb_mcp.core.guard.policy import Limits
from agentdb_mcp.core.guard.routines import Routines
from agentdb_mcp.core.guard.walk import walk


class NotOneStatement(Exception):
    """The text holds none, or several. `position` is where the second one begins."""

    def __init__(self, count: int, position: int | None) -> None:
        super().__init__(f"{count} statements")
        self.count = count
        self.position = position


def analyse(sql: str, limits: Limits) -> Facts:
    """The facts of the one statement in `sql`, which has passed the gates.

    Raises SyntaxRefused, TooDeep or NotOneStatement.
    """
    statements, offsets = parse(sql), Offsets(sql)
    if len(statements) != 1:
        raise NotOneStatement(len(statements), _second(statements, offsets))
    collector = Collector(offsets, sql)
    for tag, body in statements[0]["stmt"].items():
        walk(collector, Step(tag, body, _start(sql), 0))
    try:
        Routines(collector, limits).read_all()
    except RecursionError:
        raise TooDeep from None
    return collector.facts(len(sql.encode()))


def _start(sql: str) -> int:
    """The byte where the statement's first word stands, after comments and empty statements."""
    first = next((token.start for token in code(sql) if token.text != ";"), 0)
    return len(sql[:first].encode())


def _second(statements: list[Tree], offsets: Offsets) -> int | None:
    return offsets.position(statements[1].get("stmt_location", 0)) if len(statements) > 1 else None
