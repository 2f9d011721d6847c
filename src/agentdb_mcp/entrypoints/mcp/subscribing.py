"""Telling clients that a resource changed, in both eras: when a schema moved, whoever moved it.

In the handshake era a client subscribes to resources one by one; in the newer one it opens a stream
(`subscriptions/listen`) with the resources it wants to hear of. A new schema version of a database is told
of each of its resources that somebody subscribed to. The lists of tools, prompts and resources never change
while the server runs, and nothing is said to the contrary.
"""

import asyncio
from collections import Counter
from typing import Any, Final

from mcp import MCPError, types
from mcp.server import Server
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from agentdb_mcp.core.access import Principal
from agentdb_mcp.entrypoints.mcp.offers import Context, ToolsOf, resource_of
from agentdb_mcp.entrypoints.mcp.resources import AgentResources

_MOST_RESOURCES: Final = 256
"""Subscribed to on one connection."""

_MOST_STREAMS: Final = 16
"""Open at once for one agent."""

_STATE: Final = "agentdb/subscriptions"


def serve_subscriptions(server: Server[Any], tools_of: ToolsOf) -> None:
    """Adds the handlers of both eras, and says in `server/discover` what they do and do not tell of."""
    streams = _Streams(tools_of)

    async def subscribe(context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        tools = tools_of(context)
        resource_of(tools, params.uri)
        await tools.resources.take_note()
        _subscriptions(context, tools.resources).add(params.uri)
        return types.EmptyResult()

    async def unsubscribe(context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        _subscriptions(context, tools_of(context).resources).discard(params.uri)
        return types.EmptyResult()

    async def discover(context: Context, _: types.RequestParams) -> types.DiscoverResult:
        found = server.get_capabilities(protocol_version=context.protocol_version)
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=_without_list_changes(found),
            instructions=server.instructions,
        )

    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, subscribe)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)
    server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, streams.listen)
    server.add_request_handler("server/discover", types.RequestParams, discover)


class _Subscriptions:
    """Those of one connection of the handshake era, with a task of its own while there are any."""

    def __init__(self, connection: Connection, resources: AgentResources) -> None:
        self._connection = connection
        self._resources = resources
        self._uris: set[str] = set()
        self._telling: asyncio.Task[None] | None = None

    def add(self, uri: str) -> None:
        if len(self._uris) >= _MOST_RESOURCES:
            raise MCPError(types.INVALID_PARAMS, f"A connection has at most {_MOST_RESOURCES} subscriptions.")
        self._uris.add(uri)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    def discard(self, uri: str) -> None:
        self._uris.discard(uri)
        if not self._uris:
            self.close()

    def close(self) -> None:
        """Nothing is told any more."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    async def _tell(self) -> None:
        async for kind in self._resources.news():
            for uri in sorted(self._uris):
                address = self._resources.address(uri)
                if address is not None and address.kind is kind:
                    await self._connection.send_resource_updated(uri)


def _subscriptions(context: Context, resources: AgentResources) -> _Subscriptions:
    # The SDK's handlers are not given their connection in public yet; its own Context has it.
    connection = context.session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    found: _Subscriptions | None = connection.state.get(_STATE)
    if found is None:
        found = connection.state[_STATE] = _Subscriptions(connection, resources)
        connection.exit_stack.callback(found.close)
    return found


class _Streams:
    """The streams of the newer era: each hears of its own agent's databases and of nothing else."""

    def __init__(self, tools_of: ToolsOf) -> None:
        self._tools_of = tools_of
        self._open: Counter[Principal] = Counter()

    async def listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serves one stream until its client leaves."""
        resources = self._tools_of(context).resources
        asked = params.notifications.resource_subscriptions or []
        if len(asked) > _MOST_RESOURCES or self._open[resources.principal] >= _MOST_STREAMS:
            raise MCPError(types.INTERNAL_ERROR, "There are too many subscriptions.")
        wanted = [uri for uri in asked if resources.address(uri) is not None]
        told = types.SubscriptionFilter(resource_subscriptions=wanted)
        self._open[resources.principal] += 1
        try:
            return await _streamed(resources, context, params.model_copy(update={"notifications": told}))
        finally:
            self._open[resources.principal] -= 1
            self._open += Counter()  # drops those without any


async def _streamed(
    resources: AgentResources, context: Context, params: types.SubscriptionsListenRequestParams
) -> types.SubscriptionsListenResult:
    await resources.take_note()
    bus = InMemorySubscriptionBus()
    telling = asyncio.create_task(_publish(resources, params.notifications, bus))
    try:
        return await ListenHandler(bus)(context, params)
    finally:
        telling.cancel()


async def _publish(
    resources: AgentResources, told: types.SubscriptionFilter, bus: InMemorySubscriptionBus
) -> None:
    async for kind in resources.news():
        for uri in told.resource_subscriptions or ():
            address = resources.address(uri)
            if address is not None and address.kind is kind:
                await bus.publish(ResourceUpdated(uri))


def _without_list_changes(capabilities: types.ServerCapabilities) -> types.ServerCapabilities:
    """The SDK says of every list that it may change, once streams are served at all."""
    parts = {name: getattr(capabilities, name) for name in ("tools", "prompts", "resources")}
    return capabilities.model_copy(
        update={
            name: part.model_copy(update={"list_changed": False})
            for name, part in parts.items()
            if part is not None
        }
    )
