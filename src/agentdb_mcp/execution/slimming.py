"""Rows that are larger than memory should hold, made smaller while they come in.

The driver takes in whole messages. A row whose cells will be cut anyway is therefore cut before it sees it:
each long cell keeps its beginning, and says its true length in a way that no text of PostgreSQL's can.
"""

from struct import Struct
from typing import Final

SLIMMED: Final = "\0"
"""Between a beginning and the characters of the whole: a character that PostgreSQL's text does not have."""

_LEAST: Final = 256
"""Bytes that are always kept: types that are read as numbers or the like are never longer."""

_WIDEST: Final = 4
"""Bytes of a character in UTF-8."""

_FOLLOWERS: Final = bytes(range(0x80, 0xC0))
"""The bytes of a character after its first."""

_COUNT: Final = Struct(">H")
_LENGTH: Final = Struct(">i")
_HEAD: Final = Struct(">ci")
_NULL: Final = -1


class Slimmer:
    """One DataRow (manual, section "Message Formats"), taken in piece by piece."""

    def __init__(self, longest: int) -> None:
        self._most = max(_WIDEST * (longest + 1), _LEAST)
        """Bytes that a cell keeps: enough for one character more than it will be given with."""
        self._row = bytearray()
        self._head = bytearray()
        self._cell = _Cell(0, 0)

    def take(self, data: bytes) -> None:
        """The next bytes of the row."""
        at = 0
        while at < len(data):
            at += self._take_cell(data, at) if self._cell.left else self._take_head(data, at)

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return len(self._row) + len(self._cell.kept)

    def message(self) -> bytes:
        """The row, once it was taken whole."""
        return _HEAD.pack(b"D", _LENGTH.size + len(self._row)) + self._row

    def _take_head(self, data: bytes, at: int) -> int:
        """The number of columns first, then the length of each cell."""
        wanted = _LENGTH.size if self._row else _COUNT.size
        piece = data[at : at + wanted - len(self._head)]
        self._head += piece
        if len(self._head) == wanted:
            if self._row:
                self._begin_cell(_LENGTH.unpack(self._head)[0])
            else:
                self._row += self._head
            self._head.clear()
        return len(piece)

    def _begin_cell(self, length: int) -> None:
        if length > 0:
            self._cell = _Cell(length, self._most)
        else:
            self._row += _LENGTH.pack(length)  # NULL or empty

    def _take_cell(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._cell.left]
        self._cell.take(piece)
        if not self._cell.left:
            text = self._cell.text()
            self._row += _LENGTH.pack(len(text))
            self._row += text
            self._cell = _Cell(0, 0)
        return len(piece)


class _Cell:
    """One value, of which at most so many bytes are kept."""

    def __init__(self, length: int, most: int) -> None:
        self.left = length
        self.kept = bytearray()
        self._most = most
        self._is_long = length > most
        self._characters = 0

    def take(self, piece: bytes) -> None:
        self.left -= len(piece)
        self.kept += piece[: self._most - len(self.kept)]
        if self._is_long:
            self._characters += len(piece.translate(None, _FOLLOWERS))

    def text(self) -> bytes:
        """All of it, or whole characters of its beginning and how many there were."""
        if not self._is_long:
            return bytes(self.kept)
        beginning = self.kept.decode(errors="ignore")
        return f"{beginning}{SLIMMED}{self._characters}".encode()
