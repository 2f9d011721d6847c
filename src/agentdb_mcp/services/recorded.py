"""Lifecycle acts in the audit trail: one word above each method."""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.services.audit import Trail

P = ParamSpec("P")
T = TypeVar("T")


class _Recording(Protocol):
    @property
    def trail(self) -> Trail | None: ...

    @property
    def actor(self) -> str: ...


S = TypeVar("S", bound=_Recording)


def recorded(method: Callable[Concatenate[S, P], Awaitable[T]]) -> Callable[Concatenate[S, P], Awaitable[T]]:
    """Write down that it was asked for and what came of it, under the method's name.

    Arguments called `user_id` (or `giver`), `workspace_id` and `database_id` say whose it is; `plan`,
    `reason` and `taker` are kept as the reason; a result with a `database` names that one.
    """
    signature = inspect.signature(method)

    @wraps(method)
    async def recording(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self.trail is None:
            return await method(self, *args, **kwargs)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = bound.arguments
        owner = given.get("user_id") or given.get("giver")
        async with self.trail.act(method.__name__, owner, actor=self.actor) as entry:
            entry.workspace, entry.database = given.get("workspace_id"), given.get("database_id")
            entry.reason = given.get("plan") or given.get("reason") or given.get("taker")
            result = await method(self, *args, **kwargs)
            database = getattr(result, "database", None)
            if isinstance(database, ManagedDatabase):
                entry.about(database)
            return result

    return recording
