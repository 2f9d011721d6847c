"""The history of consumption: late, in frames of time, storage in byte-hours."""

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.metering import LAG, month_start, next_month, tick_before
from agentdb_mcp.fake_neon.project_routes import Answer
from agentdb_mcp.fake_neon.refusals import Refused, invalid
from agentdb_mcp.fake_neon.states import Metric, Project
from agentdb_mcp.fake_neon.views import Json, moment

METRICS: Final = {
    "compute_unit_seconds": Metric.COMPUTE_TIME,
    "root_branch_bytes_month": Metric.STORAGE,
    "public_network_transfer_bytes": Metric.TRANSFERRED,
    "child_branch_bytes_month": None,
    "instant_restore_bytes_month": None,
    "private_network_transfer_bytes": None,
    "extra_branches_month": None,
    "snapshot_storage_bytes_month": None,
}
"""Neon's name -> what it is here; None: always 0."""

REACH: Final = {"hourly": timedelta(hours=168), "daily": timedelta(days=60), "monthly": timedelta(days=366)}
"""How far back each granularity goes."""

Frames = dict[datetime, dict[Metric | None, float]]


@dataclass(frozen=True, slots=True)
class Window:
    """What was asked for."""

    begin: datetime
    end: datetime
    granularity: str
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, call: Call) -> "Window":
        """Raises Refused: 400 when it cannot be read, 406 when it is out of reach."""
        for name in ("org_id", "from", "to", "granularity", "metrics"):
            if name not in call.request.query:
                raise invalid(f"query parameter {name}: required")
        granularity, metrics = call.text("granularity"), call.texts("metrics")
        if granularity not in REACH or not set(metrics) <= set(METRICS):
            raise invalid("query parameter granularity or metrics: not one of those there are")
        begin, end = rounded(call.moment("from"), granularity), call.moment("to")
        if begin > end or begin < rounded(call.now - REACH[granularity], granularity):
            raise Refused(406, "the specified date-time range is invalid for this granularity")
        published = tick_before(call.now) - LAG
        return cls(begin, min(end, published), granularity, tuple(metrics))


async def consumption(call: Call) -> Answer:
    """The newest project first."""
    if not call.account.traits.offers_history:
        raise Refused(403, "consumption history is not available on this plan")
    window = Window.of(call)
    call.check_organization()
    limit, wanted = call.integer("limit", 10, 1, 100), call.texts("project_ids")
    found = [each for each in call.account.live() if not wanted or each.id in wanted]
    page = call.after([each.id for each in found], found)[:limit]
    answer: Json = {"projects": [{"project_id": each.id, "periods": _periods(each, window)} for each in page]}
    return 200, answer | ({"pagination": {"cursor": page[-1].id}} if page else {})


def _periods(project: Project, window: Window) -> list[Json]:
    months: defaultdict[datetime, list[Json]] = defaultdict(list)
    for start, totals in sorted(_frames(project, window).items()):
        frame: Json = {
            "timeframe_start": moment(start),
            "timeframe_end": moment(_end(start, window.granularity)),
            "metrics": [
                {"metric_name": name, "value": int(totals.get(METRICS[name], 0))} for name in window.metrics
            ],
        }
        months[month_start(start)].append(frame)
    return [
        {
            "period_id": str(uuid.uuid5(uuid.NAMESPACE_OID, month.isoformat())),
            "period_plan": "agent",
            "period_start": moment(month),
            "period_end": moment(next_month(month)),
            "consumption": frames,
        }
        for month, frames in months.items()
    ]


def _frames(project: Project, window: Window) -> Frames:
    frames: Frames = defaultdict(dict)
    for entry in project.entries:
        # An entry stands at the end of its stretch, which may be the first moment of the next frame.
        if window.begin < entry.at <= window.end:
            frame = frames[rounded(entry.at - timedelta(microseconds=1), window.granularity)]
            frame[entry.metric] = frame.get(entry.metric, 0.0) + entry.amount
    return frames


def rounded(when: datetime, granularity: str) -> datetime:
    """The start of the frame that `when` is in."""
    hour = when.replace(minute=0, second=0, microsecond=0)
    return {"hourly": hour, "daily": hour.replace(hour=0), "monthly": month_start(when)}[granularity]


def _end(start: datetime, granularity: str) -> datetime:
    lengths = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}
    return start + lengths[granularity] if granularity in lengths else next_month(start)
