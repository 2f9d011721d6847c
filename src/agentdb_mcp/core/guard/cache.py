"""Verdicts kept for statements that come again, bounded in bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

V = TypeVar("V")

_ENTRY_BYTES: Final = 2_000
"""What an entry costs beside its text: facts, verdict, keys (measured: 1 to 2 KB for ordinary statements)."""


class VerdictCache(Generic[V]):
    """Least recently used goes first. Keys hold the exact text: nothing else identifies a statement."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._size = 0
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> V | None:
        """What was kept under that key."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: V, text_bytes: int) -> None:
        """Keep it, and forget the oldest until all fit. What alone is too large is not kept."""
        cost = _ENTRY_BYTES + 4 * text_bytes
        if cost > self._max // 4:
            return
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = (value, cost)
            self._size += cost
            while self._size > self._max:
                _, (_, freed) = self._entries.popitem(last=False)
                self._size -= freed

    @property
    def size(self) -> int:
        """Bytes, as counted."""
        return self._size
