"""`agentdb check`: verdicts for machines (JSON lines) and for people, without any database."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentdb_mcp.core.guard import Guard, Judgement, Policy


def check_stream(lines: Iterable[str], policy: Policy) -> Iterator[str]:
    """A verdict line for every line `{"id", "sql"}`, each as soon as it is decided; other keys are ignored.

    A line that is not such an object is answered too: verdict "deny", rule "input.line".
    """
    guard = Guard()
    for line in lines:
        if line.strip():
            yield json.dumps(_answer(guard, line, policy), ensure_ascii=False)


def _answer(guard: Guard, line: str, policy: Policy) -> dict[str, Any]:
    try:
        asked = json.loads(line)
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


def explain_statement(sql: str, policies: Iterable[Policy]) -> Explanation:
    """Judge one statement by several policies."""
    guard = Guard()
    return Explanation({policy.name: guard.judge(sql, policy) for policy in policies})
