"""`python -m bench.guard [FILE.jsonl …]`: how much is refused, how much passes, and what it costs: one table.

Without arguments it takes the project's own corpora. Other files hold lines with the key `sql`, for instance
PostgreSQL's regression tests; they have no expectation: only refusals by rule and times are shown.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, Policy, load_policies
from bench.world import World

CORPUS = Path(__file__).parents[1] / "tests" / "security" / "corpus"
SHOWN = {
    "SELECT 1": "SELECT 1",
    "by key": "SELECT * FROM item WHERE id = $1",
    "a join of three tables with an aggregate": "WITH recent AS (SELECT * FROM orders WHERE made > $1) "
    "SELECT c.name, count(*), sum(l.amount) FROM recent o JOIN customer c ON c.id = o.customer "
    "JOIN line l ON l.order_id = o.id WHERE l.amount > 10 GROUP BY c.name ORDER BY 3 DESC LIMIT 10",
}
ROUNDS = 9
"""The least of so many times is a statement's time: what else the machine did is left out."""


@dataclass
class Outcome:
    """What became of one file's statements."""

    total: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cold: list[float] = field(default_factory=list)
    cached: list[float] = field(default_factory=list)


def read(path: Path) -> list[str]:
    return [json.loads(line)["sql"] for line in path.read_text(encoding="utf-8").splitlines()]


def measure(statements: Iterable[str], policy: Policy) -> Outcome:
    outcome, cold, warm = Outcome(), Guard(cache_bytes=0), Guard()
    for sql in statements:
        verdict = warm.inspect(sql, policy)
        outcome.total += 1
        if verdict.rule is not None:
            outcome.refused[verdict.rule] += 1
        outcome.cold.append(_least(cold, sql, policy))
        outcome.cached.append(_least(warm, sql, policy))
    return outcome


def _least(guard: Guard, sql: str, policy: Policy) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        guard.inspect(sql, policy)
        times.append(time.perf_counter() - start)
    return min(times)


def _percentiles(times: list[float]) -> str:
    ordered = sorted(times)
    picks = (ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])
    return " / ".join(f"{pick * 1e6:,.0f}" for pick in picks)


def table(files: list[Path], policy: Policy) -> str:
    lines = [
        "| statements | number | refused | allowed | disagreements | µs cold: p50 / p99 / max | cached |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    rules: Counter[str] = Counter()
    for path in files:
        outcome = measure(read(path), policy)
        refused = outcome.refused.total()
        rules += outcome.refused
        cells = [
            path.stem,
            f"{outcome.total:,}",
            f"{refused / outcome.total:.2%}",
            f"{1 - refused / outcome.total:.2%}",
            str(outcome.refused["parser.disagreement"]),
            _percentiles(outcome.cold),
            _percentiles(outcome.cached),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    by_rule = ", ".join(f"{rule} {count:,}" for rule, count in rules.most_common())
    return "\n".join([*lines, "", f"Refusals by rule: {by_rule}."])


def share(_: World) -> str:
    """What the guard takes of a call: microseconds, for a statement seen before and for one that was not."""
    policy = load_policies(assets.folder("policies"))["agent"]
    Guard().inspect("SELECT * FROM warm_up", policy)
    lines = ["| the guard, µs | not seen before | seen before |", "|---|---:|---:|"]
    for name, sql in SHOWN.items():
        outcome = measure([sql], policy)
        lines.append(f"| {name} | {outcome.cold[0] * 1e6:,.0f} | {outcome.cached[0] * 1e6:,.1f} |")
    return "\n".join(lines)


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]] or [CORPUS / "hostile.jsonl", CORPUS / "friendly.jsonl"]
    policy = load_policies(assets.folder("policies"))["agent"]
    Guard().inspect("SELECT * FROM warm_up", policy)
    print(table(files, policy))


if __name__ == "__main__":
    main()
