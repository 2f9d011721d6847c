"""Bodies held in strings: read by the same rules as the statement around them, or not at all."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

from agentdb_mcp.core.guard import plpgsql
from agentdb_mcp.core.guard.collector import Collector, RoutineBody, Step
from agentdb_mcp.core.guard.declarations import declarations, mended
from agentdb_mcp.core.guard.facts import Feature
from agentdb_mcp.core.guard.gates import shape
from agentdb_mcp.core.guard.lexer import TokenKind, code
from agentdb_mcp.core.guard.parser import SyntaxRefused, TooDeep, Tree, parse, parse_routine
from agentdb_mcp.core.guard.policy import Limits
from agentdb_mcp.core.guard.walk import walk

MAX_NESTING: Final = 4
"""Bodies within bodies."""
MAX_PIECES: Final = 400
"""Statements and expressions in all bodies of one statement."""
MAX_BODY_TOKENS: Final = 4_000
"""In all bodies of one statement: a text is read three times, as a body, piece by piece and for its
declarations."""

_MENDINGS: Final = 4
"""Readings of bodies that may be repeated, each after giving the library a type that it understands."""


class Routines:
    """Analyses the bodies that the walk left in the collector, and the bodies within those."""

    def __init__(self, collector: Collector, limits: Limits) -> None:
        self._collector = collector
        self._limits = replace(limits, max_tokens=min(limits.max_tokens, MAX_BODY_TOKENS))
        self._left = MAX_PIECES
        self._mendings = _MENDINGS

    def read_all(self) -> None:
        """Until nothing is left to read. What cannot be read becomes a trait."""
        while self._collector.bodies:
            body = self._collector.bodies.pop()
            self._collector.nesting, self._collector.fixed_at = body.nesting, body.at
            try:
                self._read(body)
            except (SyntaxRefused, TooDeep) as error:
                self._unreadable(body, str(error) or "it nests too deeply")
        self._collector.fixed_at = None

    def _read(self, body: RoutineBody) -> None:
        if body.text is None:
            self._unreadable(body, "it has no body")
        elif body.nesting > MAX_NESTING:
            self._unreadable(body, "bodies within bodies")
        elif (stopped := shape(body.text, self._limits)) is not None:
            self._unreadable(body, f"{stopped.rule.partition('.')[2]}: {stopped.found}")
            self._collector.bodies.clear()  # no policy allows the statement now: the rest need not be read
        else:
            self._spend(body.text)
            if body.language == "plpgsql":
                self._plpgsql(body, body.text)
            elif body.language == "sql":
                self._statements(body, body.text)

    def _spend(self, text: str) -> None:
        """What this body takes is no longer there for the next."""
        left = self._limits.max_tokens - sum(1 for _ in code(text))
        self._limits = replace(self._limits, max_tokens=max(left, 0))

    def _unreadable(self, body: RoutineBody, why: str) -> None:
        self._collector.trait(Feature.UNREADABLE_BODY, why, body.at)

    def _statements(self, body: RoutineBody, text: str) -> list[Tree]:
        found = parse(text)
        encoded = text.encode()
        for raw in found:
            start = raw.get("stmt_location", 0)
            self._collector.source = encoded[start : start + (raw.get("stmt_len") or len(encoded))].decode()
            self._walk(body, raw)
        return found

    def _walk(self, body: RoutineBody, raw: Tree) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooDeep("it holds more statements than can be analysed")
        [(tag, node)] = raw["stmt"].items()
        walk(self._collector, Step(tag, node, body.at, 0, parent="body", executed=body.executed))

    def _plpgsql(self, body: RoutineBody, text: str) -> None:
        trees = self._trees(body, text)
        for declared in declarations(text):
            if declared.type:
                self._piece(body, plpgsql.Piece(declared.type, plpgsql.Mode.TYPE))
            if declared.default is not None:
                self._piece(body, plpgsql.Piece(declared.default, plpgsql.Mode.EXPRESSION))
        for found in plpgsql.pieces(trees):
            if isinstance(found, plpgsql.Remark):
                self._collector.trait(found.feature, found.found, body.at)
            else:
                self._piece(body, found)

    def _trees(self, body: RoutineBody, text: str) -> list[Tree]:
        source = body.source
        while True:
            try:
                trees = parse_routine(source)
            except SyntaxRefused as error:
                if not self._mendings:
                    raise TooDeep("it holds more than can be analysed") from None
                self._mendings -= 1
                better = mended(source, text, error.message)
                if better is None:
                    raise
                source, text = better
                continue
            if len(trees) != 1:
                raise SyntaxRefused("it holds more than one body", None)
            return trees

    def _piece(self, body: RoutineBody, piece: plpgsql.Piece) -> None:
        if piece.dynamic:
            self._dynamic(body, piece.text)
        elif piece.mode == plpgsql.Mode.STATEMENT:
            self._one(body, piece.text)
        elif piece.mode == plpgsql.Mode.TYPE:
            if not _is_borrowed(piece.text):
                self._one(body, f"SELECT NULL::{piece.text}")
        elif piece.mode == plpgsql.Mode.EXPRESSION:
            self._one(body, f"SELECT {piece.text}")
        else:
            target, value = _assignment(piece.text)
            self._one(body, f"SELECT {target}")
            self._one(body, f"SELECT {value}")

    def _one(self, body: RoutineBody, text: str) -> None:
        if len(self._statements(body, text)) != 1:
            raise SyntaxRefused("a piece of it is not one statement", None)

    def _dynamic(self, body: RoutineBody, text: str) -> None:
        """SQL made at run time cannot be judged now, except where it is one constant."""
        [raw] = parse(f"SELECT {text}")
        constant = _string_constant(raw["stmt"])
        if constant is None:
            self._collector.trait(Feature.DYNAMIC_SQL, " ".join(text.split())[:60], body.at)
        else:
            self._statements(body, constant)


def _string_constant(statement: Tree) -> str | None:
    """The text, where the query is `SELECT 'text'` and nothing else."""
    select = statement.get("SelectStmt", {})
    if select.keys() - {"limitOption", "op"} != {"targetList"}:
        return None
    match select["targetList"]:
        case [{"ResTarget": {"val": {"A_Const": {"sval": {"sval": str(text)}}}}}]:
            return text
        case _:
            return None


def _is_borrowed(type_name: str) -> bool:
    """Whether the type is that of a column or a table: `t.c%TYPE`, `t%ROWTYPE`."""
    words = [token.text.lower() for token in code(type_name)]
    return any(pair in {("%", "type"), ("%", "rowtype")} for pair in pairwise(words))


def _assignment(text: str) -> tuple[str, str]:
    """Target and value of `target := value`: the operator is the first one outside brackets."""
    depth = 0
    for token in code(text):
        depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
        if depth == 0 and token.kind is TokenKind.OTHER and token.text in {":=", "="}:
            return text[: token.start], text[token.end :]
    raise SyntaxRefused("an assignment without a value", None)
