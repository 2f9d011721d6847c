"""What a provider measured of one database: its own figures, exact, in its own units, without a price."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Consumption:
    """What was used since a period of the provider's began.

    A figure that the provider does not tell is None, never 0. While `period_start` is the same, figures only
    grow; smaller ones are a correction of the provider's.
    """

    period_start: datetime
    period_end: datetime | None
    active_time_seconds: int | None
    """How long computes were awake."""
    compute_time_seconds: int | None
    """The same, each second times the compute's size: CU-seconds."""
    written_data_bytes: int | None
    data_transfer_bytes: int | None
    """What left the database's network."""
    data_storage_byte_hours: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at what a database uses."""

    as_of: datetime
    """When the provider was asked."""
    lag: timedelta
    """What happened in so long a time before that may not be in the figures yet."""
    stored_bytes: int | None
    """What it occupies now. None: the provider does not tell."""
    consumption: Consumption | None
    """None: nothing has been metered, and it is not known whether anything was used."""

    def as_dict(self) -> dict[str, object]:
        """As JSON has it: times in ISO 8601."""
        metered = {} if self.consumption is None else asdict(self.consumption)
        return {
            "as_of": self.as_of.isoformat(),
            "lag_seconds": int(self.lag.total_seconds()),
            "stored_bytes": self.stored_bytes,
            "consumption": {name: _json(value) for name, value in metered.items()} or None,
        }


def _json(value: datetime | int | None) -> str | int | None:
    return value.isoformat() if isinstance(value, datetime) else value
