"""Metered use: of a whole organization where its plan offers the history, else project by project.

Neon's raw units: compute in CU-seconds; storage metrics named `*_bytes_month` in byte-HOURS; transfer in
bytes; `extra_branches_month` in branch-hours (neon.com docs, usage calculations, March 2026).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from agentdb_mcp.providers.neon_fields import Fields
from agentdb_mcp.providers.neon_http import NeonHttp
from agentdb_mcp.providers.neon_records import Granularity, Metered
from agentdb_mcp.providers.neon_refusals import Forbidden

METRICS: Final = (
    "compute_unit_seconds",
    "root_branch_bytes_month",
    "child_branch_bytes_month",
    "instant_restore_bytes_month",
    "snapshot_storage_bytes_month",
    "public_network_transfer_bytes",
    "private_network_transfer_bytes",
    "extra_branches_month",
)

PROJECTS_PER_PAGE: Final = 100

LAG: Final = timedelta(hours=1)
"""Neon's figures are 15 to 60 minutes behind (its documentation, consumption metrics)."""

HOURS_PER_MONTH: Final = 744
"""Neon's month is always 31 days long."""


class NeonUsage:
    """Reads use; it wakes no compute."""

    def __init__(self, http: NeonHttp, *, org_id: str) -> None:
        self._http = http
        self._org_id = org_id

    async def history(
        self, start: datetime, end: datetime, granularity: Granularity, project_ids: Sequence[str] = ()
    ) -> tuple[Metered, ...] | None:
        """Every value between the two times, of all projects or at most 100 named ones.

        None: the plan does not offer it (Free); then `NeonProvider.usage` is all there is.
        """
        params: dict[str, str | int] = {
            "org_id": self._org_id,
            "from": _moment(start),
            "to": _moment(end),
            "granularity": granularity,
            "metrics": ",".join(METRICS),
            "limit": PROJECTS_PER_PAGE,
        }
        if project_ids:
            params["project_ids"] = ",".join(project_ids)
        found: list[Metered] = []
        try:
            while True:
                page = await self._http.read("/consumption_history/v2/projects", params)
                projects = page.many("projects")
                found += [value for project in projects for value in _values(project)]
                cursor = page.one("pagination").text("cursor")
                if len(projects) < PROJECTS_PER_PAGE or cursor in {"", params.get("cursor")}:
                    return tuple(found)
                params["cursor"] = cursor
        except Forbidden:
            return None


def gb_months(byte_hours: int) -> Decimal:
    """Neon's byte-hours as the decimal gigabyte-months it bills."""
    return Decimal(byte_hours) / HOURS_PER_MONTH / 1_000_000_000


def _values(project: Fields) -> list[Metered]:
    """Values without a time are left out: they could not be told from each other when read again."""
    return [
        Metered(project.text("project_id"), metric.text("metric_name"), start, end, metric.integer("value"))
        for period in project.many("periods")
        for frame in period.many("consumption")
        if (start := frame.time("timeframe_start")) and (end := frame.time("timeframe_end"))
        for metric in frame.many("metrics")
    ]


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
