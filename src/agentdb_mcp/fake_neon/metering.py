"""Use, as Neon measures it: late, by calendar month, and judged against quotas at a tick of its own.

Neon's figures lag 15 to 60 minutes (docs, consumption metrics); a quota stops computes when the *reported*
figure has reached it, and 0 is no quota at all.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agentdb_mcp.fake_neon.states import Endpoint, Entry, Metric, Project

TICK = timedelta(minutes=15)
LAG = timedelta(minutes=15)

QUOTAS = (Metric.ACTIVE_TIME, Metric.COMPUTE_TIME, Metric.WRITTEN, Metric.TRANSFERRED)
"""`logical_size_bytes` is not among them: it makes writes fail and stops nothing."""


def tick_before(now: datetime) -> datetime:
    """The last time Neon looked."""
    return now - (now - now.replace(minute=0, second=0, microsecond=0)) % TICK


def month_start(now: datetime) -> datetime:
    """Neon bills by calendar month."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(start: datetime) -> datetime:
    """The end of the period that begins at `start`."""
    return month_start(start + timedelta(days=32))


def total(project: Project, metric: Metric, now: datetime) -> int:
    """What Neon reports for the current period at `now`."""
    if project.period_start is None:
        return 0
    until = tick_before(now) - LAG
    amounts = (
        e.amount for e in project.entries if e.metric is metric and project.period_start < e.at <= until
    )
    return int(sum(amounts))


def meter(project: Project, now: datetime) -> None:
    """Write down what was used since the last time, in stretches that no tick divides."""
    since = project.metered_until or project.created_at
    for start, end in _stretches(since, now):
        seconds = (end - start).total_seconds()
        _add(project, end, Metric.STORAGE, project.storage_bytes * seconds / 3600)
        for endpoint in project.endpoints.values():
            active = _active_seconds(endpoint, start, end)
            _add(project, end, Metric.ACTIVE_TIME, active)
            _add(project, end, Metric.COMPUTE_TIME, active * endpoint.min_cu)
    project.metered_until = now


def judge(project: Project, now: datetime) -> Metric | None:
    """The quota that is used up, by what Neon knows at `now`."""
    for metric in QUOTAS:
        limit = project.quota.get(metric, 0)
        if limit > 0 and total(project, metric, now) >= limit:
            return metric
    return None


def _active_seconds(endpoint: Endpoint, start: datetime, end: datetime) -> float:
    if endpoint.state != "active" or endpoint.started_at is None:
        return 0.0
    begin = max(start, endpoint.started_at)
    finish = min(end, endpoint.idles_at() or end)
    return max(0.0, (finish - begin).total_seconds())


def _add(project: Project, at: datetime, metric: Metric, amount: float) -> None:
    if amount > 0:
        project.entries.append(Entry(at, metric, amount))


def _stretches(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        stop = min(end, tick_before(start) + TICK)
        yield start, stop
        start = stop
