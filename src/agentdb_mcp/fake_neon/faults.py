"""Faults, injected into answers of the stand-in before or after their effect."""

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong with one request."""

    LOST = "lost"
    """The connection drops and nothing was done."""
    BUSY = "423"
    RATE = "429"
    RATE_SECONDS = "429 with Retry-After in seconds"
    RATE_DATE = "429 with Retry-After as a date"
    ERROR = "500"
    UNAVAILABLE = "503"
    SLOW = "slow"
    """Everything was done, and the answer does not come while the client waits."""
    LATE = "late"
    """The connection drops, and the work is done later: FakeNeon.do_postponed."""
    REPLY_LOST = "reply lost"
    """Everything was done, and the connection drops."""
    REPLY_CUT = "reply cut"
    """Everything was done, and the connection drops in the middle of the answer."""
    ERROR_AFTER = "500 after success"
    GATEWAY = "524 after success"
    """Neon's gateway gives up waiting, in HTML, for work that succeeds."""
    DOUBLED = "duplicate"
    """The request arrives twice."""


BEFORE = frozenset(
    {
        Fault.LOST,
        Fault.BUSY,
        Fault.RATE,
        Fault.RATE_SECONDS,
        Fault.RATE_DATE,
        Fault.ERROR,
        Fault.UNAVAILABLE,
    }
)
"""Those that keep the effect from happening."""


@dataclass(slots=True)
class _Rule:
    fault: Fault
    method: str
    path: re.Pattern[str]
    times: int


@dataclass(slots=True)
class Faults:
    """Rules, the first that fits wins; and a log of every request, in order."""

    rules: list[_Rule] = field(default_factory=list[_Rule])
    spared: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    messages: float = math.inf
    """Messages to projects' PostgreSQL that are still carried; the session with the next one breaks, once."""

    def add(self, fault: Fault, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Let the next `times` requests of this method whose path matches (from its start) fail so."""
        self.rules.append(_Rule(fault, method, re.compile(path), times))

    def skip(self, count: int) -> None:
        """Leave the next `count` requests alone, whatever the rules say."""
        self.spared = count

    def carries(self) -> bool:
        """Whether a session's next message arrives; counts it."""
        self.messages -= 1
        if self.messages >= 0:
            return True
        self.messages = math.inf
        return False

    def pick(self, method: str, path: str) -> Fault | None:
        """The fault for this request; counts it."""
        self.requests.append((method, path))
        if self.spared > 0:
            self.spared -= 1
            return None
        for rule in self.rules:
            if rule.times > 0 and rule.method in {"", method} and rule.path.match(path):
                rule.times -= 1
                return rule.fault
        return None
