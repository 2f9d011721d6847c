"""`agentdb check`: verdicts for machines (JSON lines) and for people, without any database."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentdb_mcp.core.guard import Guard, Judgement, Policy
from agentdb_mcp.core.guard.facts import Facts


def check_stream(lines: Iterable[str], policies: Sequence[Policy]) -> Iterator[str]:
    """A verdict line for every line `{"id", "sql"}`, each as soon as it is decided; other keys are ignored.

    With several policies there is a line for each, and it names its policy.
    A line that is not such an object is answered too: verdict "deny", rule "input.line".
    """
    guard = Guard()
    for line in lines:
        if line.strip():
            for policy in policies:
                named = {"policy": policy.name} if len(policies) > 1 else {}
                yield json.dumps({**_answer(guard, line, policy), **named})


def _answer(guard: Guard, line: str, policy: Policy) -> dict[str, Any]:
    try:
        asked = json.loads(line.removeprefix("\ufeff"), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return _bad_line(None, f"not a line of JSON: {error}")
    if not isinstance(asked, dict):
        return _bad_line(None, "not a JSON object")
    if "sql" not in asked:
        return _bad_line(asked.get("id"), 'the key "sql" is missing')
    verdict = guard.inspect(asked["sql"], policy)
    return {
        "id": asked.get("id"),
        "verdict": "allow" if verdict.allowed else "deny",
        "class": verdict.statement_class.value,
        "rule": verdict.rule,
        "message": f"{verdict.message} {verdict.hint}".strip(),
    }


def _finite(written: str) -> float:
    """A number that JSON can write: Python would read NaN and 1e999, and answer with what is not JSON."""
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:20]} is no finite number")
    return number


def _bad_line(identity: Any, message: str) -> dict[str, Any]:
    return {"id": identity, "verdict": "deny", "class": "unknown", "rule": "input.line", "message": message}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each policy says of one statement, in lines for a terminal."""

    judgements: Mapping[str, Judgement]

    @property
    def exit_code(self) -> int:
        """0 when every policy allows it, 1 when any refuses, 2 when it is not SQL."""
        verdicts = [judgement.verdict for judgement in self.judgements.values()]
        if any(verdict.rule == "syntax" for verdict in verdicts):
            return 2
        return 0 if all(verdict.allowed for verdict in verdicts) else 1

    def lines(self, *, colour: bool, facts: bool) -> Iterator[str]:
        """A few lines a policy; with `facts`, what every verdict rests on."""
        for name, judgement in self.judgements.items():
            verdict = judgement.verdict
            word = "allow" if verdict.allowed else "deny"
            shown = _coloured(word, verdict.allowed) if colour else word
            yield f"{shown:5} {name}: {verdict.statement_class}"
            if not verdict.allowed:
                where = f" at character {verdict.position}" if verdict.position else ""
                yield f"      {verdict.rule}{where}: {verdict.message}"
                if verdict.hint:
                    yield f"      {verdict.hint}"
            if facts and judgement.facts is not None:
                yield from _fact_lines(judgement.facts)


def explain_statement(sql: str, policies: Iterable[Policy]) -> Explanation:
    """Judge one statement by several policies."""
    guard = Guard()
    return Explanation({policy.name: guard.judge(sql, policy) for policy in policies})


def _coloured(word: str, allowed: bool) -> str:
    return f"\x1b[{32 if allowed else 31}m{word}\x1b[0m"


def _fact_lines(facts: Facts) -> Iterator[str]:
    yield f"      class {facts.klass}, {facts.size} bytes, {facts.depth} levels"
    for command in facts.commands:
        yield f"      command {command.name} ({command.klass}){_at(command.position)}"
    for name in facts.names:
        yield f"      {name.kind} {name.text} ({name.access}){_at(name.position)}"
    for trait in facts.traits:
        yield f"      {trait.feature} {trait.found}{_at(trait.position)}"


def _at(position: int | None) -> str:
    return f" at character {position}" if position else ""
