"""A host's call with an idempotency key is made once: whoever repeats it gets the first answer.

Each call is harmless by itself when it is repeated. The key is for the one that arrives late: a creation
repeated after the deletion would bring back what is gone.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from agentdb_mcp.core.errors import Invalid, Unavailable
from agentdb_mcp.store import Store

LONGEST_KEY: Final = 200

Answer = dict[str, Any]


class OnceOnly:
    """Makes calls once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def call(
        self, caller: str, key: str | None, asked: Mapping[str, Any], act: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """The answer, and whether it is one from before. Without a key the call is simply made.

        Keys are each caller's own, and `caller` is a word: two of them never meet under one.
        Raises Invalid("idempotency_conflict") for a key that stands for something else, and
        Unavailable("call_in_progress") while the first call is under way. A call that fails frees its key.
        """
        if key is None:
            return await act(), False
        _check_key(key)
        key = f"{caller} {key}"
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()
        before = await self._store.begin_call(key, digest)
        if before is None:
            return await self._first(key, act), False
        if before.digest != digest:
            raise Invalid(
                "idempotency_conflict",
                "This idempotency key stands for another call already.",
                "Make a new key for each call, and repeat a call with the key and the values it had.",
            )
        if before.answer is None:
            raise Unavailable(
                "call_in_progress",
                "The first call with this key is still under way.",
                "Repeat it in a moment; if its process died, in two minutes.",
            )
        return before.answer, True

    async def _first(self, key: str, act: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await act()
        except BaseException:
            await self._store.drop_call(key)
            raise
        await self._store.finish_call(key, answer)
        return answer


def _check_key(key: str) -> None:
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        raise Invalid("bad_argument", f"An idempotency key is 1 to {LONGEST_KEY} printable characters.")
