"""What a provider measured, as it is recorded."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agentdb_mcp.core.usage import Consumption, Usage

PAGE = Path(__file__).parents[2] / "docs/reference/usage.md"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def test_figures_stay_exact_in_json_and_unknown_ones_unknown() -> None:
    consumption = Consumption(MARCH, None, 2**63 - 1, 0, None, 7, None)
    recorded = json.loads(json.dumps(Usage(NOON, timedelta(hours=1), None, consumption).as_dict()))
    assert recorded == {
        "as_of": "2026-03-10T12:00:00+00:00",
        "lag_seconds": 3600,
        "stored_bytes": None,
        "consumption": {
            "period_start": "2026-03-01T00:00:00+00:00",
            "period_end": None,
            "active_time_seconds": 2**63 - 1,
            "compute_time_seconds": 0,
            "written_data_bytes": None,
            "data_transfer_bytes": 7,
            "data_storage_byte_hours": None,
        },
    }


def test_what_is_not_metered_is_recorded_as_such() -> None:
    recorded = Usage(NOON, timedelta(0), 8_000_000, None).as_dict()
    assert (recorded["stored_bytes"], recorded["lag_seconds"], recorded["consumption"]) == (
        8_000_000,
        0,
        None,
    )


def test_every_figure_is_documented_and_every_documented_figure_exists() -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    recorded = Usage(NOON, timedelta(0), None, Consumption(MARCH, *[None] * 6)).as_dict()
    consumption = recorded["consumption"]
    assert isinstance(consumption, dict)
    assert documented == recorded.keys() | consumption.keys()
