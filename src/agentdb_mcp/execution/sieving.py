"""An answer's first rows and notices are let through, the others are swallowed while they come in.

A change is made in full whatever of its rows is wanted, and only its end says how many there were. So all of
it is received, in one round trip; what nobody will read is neither held nor counted as if it were.
"""

from struct import Struct
from typing import Final

_HEAD: Final = 5
"""Bytes that begin a message: its kind, and its length without the kind (manual, "Message Flow")."""

_length: Final = Struct(">i").unpack_from
_ROW: Final = ord("D")
_NOTICE: Final = ord("N")
_READY: Final = ord("Z")


class Sieve:
    """For one answer, from its first byte on to the server's being ready for the next."""

    def __init__(self, *, rows: int, notices: int) -> None:
        self._left = {_ROW: rows, _NOTICE: notices}
        """How many are still let through, by the kind of message."""
        self._swallows = False
        """Whether the message under way is."""
        self._rest = 0
        """Bytes of it that are still to come."""
        self._head = b""
        """The beginning of a message that is too short to tell its length."""
        self._is_ready = False

    @property
    def is_done(self) -> bool:
        """Whether the answer has ended, so that what comes next is not its own."""
        return self._is_ready and not self._rest and not self._head

    def sift(self, data: bytes) -> bytes:
        """What of these bytes is let through."""
        data = self._head + data
        at, size, passed = self._rest, len(data), list[bytes]()
        begin = min(at, size) if self._swallows else 0
        while at + _HEAD <= size:
            swallows = self._is_too_many(data[at])
            if swallows and not self._swallows:
                passed.append(data[begin:at])
            elif self._swallows and not swallows:
                begin = at
            self._swallows = swallows
            at += 1 + _length(data, at + 1)[0]
        if not self._swallows:
            passed.append(data[begin:at])
        self._head = data[at:]
        self._rest = max(at - size, 0)
        return b"".join(passed)

    def _is_too_many(self, kind: int) -> bool:
        if kind == _READY:
            self._is_ready = True
            self._left.clear()
        if kind not in self._left:
            return False
        self._left[kind] -= 1
        return self._left[kind] < 0
