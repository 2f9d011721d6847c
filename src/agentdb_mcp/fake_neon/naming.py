"""Ids in Neon's style, from a seeded source, so that a failing run can be repeated."""

import random
from typing import Final

_ADJECTIVES: Final = (
    "cold",
    "shy",
    "bold",
    "late",
    "icy",
    "old",
    "wild",
    "calm",
    "dry",
    "long",
    "royal",
    "tiny",
)
_NOUNS: Final = (
    "bonus",
    "field",
    "leaf",
    "moon",
    "river",
    "snow",
    "star",
    "tree",
    "wave",
    "wind",
    "lake",
    "hill",
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Namer:
    """Makes ids: a project's is `cold-bonus-61650555`, a branch's `br-…`, an endpoint's `ep-…`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - ids, not secrets

    def project_id(self) -> str:
        return f"{self._words()}-{self._random.randrange(10**7, 10**8)}"

    def branch_id(self) -> str:
        return f"br-{self._words()}-{self._tail()}"

    def endpoint_id(self) -> str:
        return f"ep-{self._words()}-{self._tail()}"

    def number(self) -> int:
        return self._random.randrange(10**6, 10**7)

    def _words(self) -> str:
        return f"{self._random.choice(_ADJECTIVES)}-{self._random.choice(_NOUNS)}"

    def _tail(self) -> str:
        return "".join(self._random.choices(_DIGITS, k=8))
