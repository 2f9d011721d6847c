"""JSON of Neon's, read tolerantly: a field may be missing, null or new, and none of that is an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object. Holds passwords at times, so it is not printed."""

    raw: Mapping[str, object] = field(repr=False)

    @classmethod
    def of(cls, value: object) -> "Fields":
        """`value` when it is a JSON object, else an empty one."""
        return cls(cast("Mapping[str, object]", value) if isinstance(value, dict) else {})

    def text(self, name: str, default: str = "") -> str:
        value = self.raw.get(name)
        return value if isinstance(value, str) else default

    def integer(self, name: str, default: int = 0) -> int:
        found = self.count(name)
        return default if found is None else found

    def count(self, name: str) -> int | None:
        """A whole number; None where there is none, which a figure must not take for 0."""
        value = self.raw.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, name: str, default: float = 0.0) -> float:
        value = self.raw.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default

    def flag(self, name: str) -> bool:
        return self.raw.get(name) is True

    def time(self, name: str) -> datetime | None:
        """An aware UTC time. None also for the year 1, which is how Neon says "not yet"."""
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError:
            return None
        if found.tzinfo is None or found.year == 1:
            return None
        return found.astimezone(UTC)

    def one(self, name: str) -> "Fields":
        return Fields.of(self.raw.get(name))

    def many(self, name: str) -> list["Fields"]:
        value = self.raw.get(name)
        return [Fields.of(item) for item in cast("list[object]", value)] if isinstance(value, list) else []

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.raw.get(name)
        items = cast("list[object]", value) if isinstance(value, list) else []
        return tuple(item for item in items if isinstance(item, str))
