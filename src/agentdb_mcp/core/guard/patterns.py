"""Sets of names, some of them by prefix."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Patterns:
    """Exact names and prefixes (`pg_*`); `*` alone is everything."""

    names: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """From the spelling of policy files."""
        listed = sorted(set(entries))
        exact = frozenset(entry for entry in listed if not entry.endswith("*"))
        return cls(exact, tuple(entry[:-1] for entry in listed if entry.endswith("*")))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.names or name.startswith(self.prefixes))

    def __bool__(self) -> bool:
        return bool(self.names or self.prefixes)
