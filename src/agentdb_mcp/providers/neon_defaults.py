"""How a project is set up, by the plan of the user it is made for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from agentdb_mcp.providers.neon_records import UNLIMITED, EndpointSize, Quota

DATABASE: Final = "neondb"
OWNER: Final = "neondb_owner"
"""Neon's own names. They tell nobody anything, and every project has its own."""


SMALL: Final = EndpointSize(0.25, 0.25, 0)


@dataclass(frozen=True, slots=True)
class ProjectDefaults:
    """What we ask Neon for. A project's region and version never change; the rest follows the plan."""

    region_id: str | None = None
    """None: Neon's choice. `NeonApi.regions` lists what the organization may use."""
    pg_version: int = 17
    size: EndpointSize = SMALL
    history_retention_seconds: int = 21_600
    """How far back a database can be restored. It costs storage."""
    quota: Quota = UNLIMITED
    """Neon's own limits, beside our budgets: a net against a fault of ours."""

    def body(self, name: str) -> dict[str, object]:
        """Neon's `ProjectCreateRequest.project`."""
        region: dict[str, object] = {"region_id": self.region_id} if self.region_id else {}
        return {
            "name": name,
            **region,
            "pg_version": self.pg_version,
            "history_retention_seconds": self.history_retention_seconds,
            "branch": {"name": "main", "database_name": DATABASE, "role_name": OWNER},
            "default_endpoint_settings": self.size.body(),
            "settings": {"quota": self.quota.body()},
        }


_DAY: Final = 86_400

NEON_PROJECT_DEFAULTS: Final[Mapping[str, ProjectDefaults]] = MappingProxyType(
    {
        "free": ProjectDefaults(),
        "pro": ProjectDefaults(size=EndpointSize(0.25, 1, 0), history_retention_seconds=_DAY),
        "team": ProjectDefaults(size=EndpointSize(0.25, 2, 0), history_retention_seconds=_DAY),
        "enterprise": ProjectDefaults(size=EndpointSize(0.25, 4, 0), history_retention_seconds=7 * _DAY),
    }
)
"""By plan. Small computes that sleep after Neon's default of five minutes (0): mostly nobody is there."""


def in_region(region_id: str | None, pg_version: int = 17) -> Mapping[str, ProjectDefaults]:
    """The same for an operator who chose a region and a PostgreSQL version."""
    return {
        plan: replace(defaults, region_id=region_id, pg_version=pg_version)
        for plan, defaults in NEON_PROJECT_DEFAULTS.items()
    }
