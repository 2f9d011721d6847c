"""How often something may be asked of somebody who counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and after a rest a few at once: at most `burst + per_second * t` in any t seconds."""

    name: str
    per_second: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds from one to the next."""
        return 1 / self.per_second

    @property
    def saved(self) -> float:
        """Seconds of rest that are made up for; longer ones are not."""
        return (self.burst - 1) * self.interval
