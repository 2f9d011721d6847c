"""A plan as a model reads it: a line of what it costs, a line for each step, a line for what looks wrong."""

from dataclasses import asdict

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.plans import MOST_NODES, Pace, Plan, Step
from agentdb_mcp.entrypoints.mcp.render import ToolAnswer, counted, data_block, lines, name_text, one_line

_WORTH_TELLING = 0.05
_ASTRONOMIC = 1e12


def explained(kind: Kind, plan: Plan, pace: Pace) -> ToolAnswer:
    """The answer of `explain`."""
    least, most = pace.expected(plan.cost)
    head = (
        f"{kind}: cost {_number(plan.cost)}, {_time(least)} to {_time(most)}, "
        f"{_rows(plan.rows)} of {counted(plan.row_bytes, 'byte')} expected; not run"
    )
    steps = [_line(step) for step in plan.steps]
    more = [f"only the first {MOST_NODES} steps"] if len(steps) == MOST_NODES else []
    warnings = [one_line(f"! {warning}") for warning in plan.warnings]
    return ToolAnswer(
        lines(head, data_block([*steps, *more, *warnings])),
        {
            "database": str(kind),
            "cost": plan.cost,
            "milliseconds": [round(least, 1), round(most, 1)],
            "rows": plan.rows,
            "bytes": plan.rows * plan.row_bytes,
            "plan": [asdict(step) for step in plan.steps],
            "warnings": list(plan.warnings),
        },
    )


def _line(step: Step) -> str:
    on = f" {name_text(step.on)}" if step.on else ""
    where = f" {step.condition}" if step.condition else ""
    share = f", {step.share:.0%}" if step.share >= _WORTH_TELLING else ""
    return "  " * step.depth + one_line(f"{step.name}{on}: {_rows(step.rows)}{share}{where}")


def _time(milliseconds: float) -> str:
    if milliseconds < 1:
        return "<1 ms"
    return f"{milliseconds:,.0f} ms" if milliseconds < 10_000 else f"{_number(milliseconds / 1_000)} s"


def _rows(count: int) -> str:
    return counted(count) if count < _ASTRONOMIC else f"{_number(count)} rows"


def _number(value: float) -> str:
    """Whole, but for what nobody would read digit by digit."""
    return f"{value:,.0f}" if value < _ASTRONOMIC else f"{value:.1e}"
