"""What was given of a longer result, kept so small that a later run can be held against it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

from agentdb_mcp.core.results import Cell, Column

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Page:
    """One answer's part of a result. Equal pages had the same columns and cells in the same order."""

    rows: int
    digest: bytes
    longest: int
    """Characters at which its cells were cut."""

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Sequence[tuple[Cell, ...]], longest: int) -> Self:
        """The page these rows are, cut at so many characters a cell."""
        digest = blake2b(digest_size=_DIGEST_BYTES)
        digest.update(json.dumps([(column.name, column.type) for column in columns]).encode())
        digest.update(json.dumps(rows).encode())
        return cls(len(rows), digest.digest(), longest)
