"""Resources, prompts and completions on the SDK's server."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError, Missing
from agentdb_mcp.entrypoints.mcp.addresses import TEMPLATE, Address
from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools
from agentdb_mcp.entrypoints.mcp.prompts import PROMPTS, PromptSpec
from agentdb_mcp.entrypoints.mcp.resources import MOST_COMPLETIONS
from agentdb_mcp.entrypoints.wording import as_told, in_words

Context = ServerRequestContext[Any]
ToolsOf = Callable[[Context], AgentTools]
"""The tools of whoever sent a request: its transport knows."""

_TEXT: Final = "text/plain"


def offer(server: Server[Any], databases: Sequence[Kind], tools_of: ToolsOf) -> None:
    """Adds the handlers; what the server can do follows from them."""
    offers = _Offers(databases, tools_of)
    pages = types.PaginatedRequestParams
    server.add_request_handler("resources/list", pages, _one_page(offers.resources))
    server.add_request_handler("resources/templates/list", pages, _one_page(offers.templates))
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, offers.read)
    server.add_request_handler("prompts/list", pages, _one_page(offers.prompts))
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, offers.prompt)
    server.add_request_handler("completion/complete", types.CompleteRequestParams, offers.completed)


def resource_of(tools: AgentTools, uri: str) -> Address:
    """What a client addresses. Raises MCPError -32602 for what is not there for it."""
    address = tools.resources.address(uri)
    if address is None:
        raise MCPError(types.INVALID_PARAMS, "There is no such resource.", {"uri": uri[:1_000]})
    return address


class _Offers:
    """Answers from the tools' own services."""

    def __init__(self, databases: Sequence[Kind], tools_of: ToolsOf) -> None:
        self._tools_of = tools_of
        self.resources = types.ListResourcesResult(resources=[_root(kind) for kind in databases])
        self.templates = types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    name="table",
                    title="Table",
                    uri_template=TEMPLATE,
                    description="One table or view in full: columns, keys, indexes, references, comments.",
                    mime_type=_TEXT,
                )
            ]
        )
        self.prompts = types.ListPromptsResult(prompts=[_listed(prompt) for prompt in PROMPTS.values()])

    async def read(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        tools = self._tools_of(context)
        address = resource_of(tools, params.uri)
        try:
            text = await tools.resources.read(address)
        except AgentDbError as error:
            raise _refusal(error, params.uri) from None
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, mime_type=_TEXT, text=text)]
        )

    async def prompt(self, _: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = PROMPTS.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"The prompts are: {', '.join(PROMPTS)}.")
        try:
            text = prompt.text(params.arguments or {})
        except ValueError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    async def completed(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        given = (params.context.arguments if params.context is not None else None) or {}
        _refuse_unknown(params.ref)
        try:
            resources = self._tools_of(context).resources
            names = await resources.completions(params.argument.name, params.argument.value, given)
        except AgentDbError:
            names = []  # whoever types is shown nothing rather than an error at each key
        shown = names[:MOST_COMPLETIONS]
        return types.CompleteResult(
            completion=types.Completion(values=shown, has_more=len(names) > len(shown))
        )


def _refuse_unknown(ref: types.ResourceTemplateReference | types.PromptReference) -> None:
    known = ref.name in PROMPTS if isinstance(ref, types.PromptReference) else ref.uri == TEMPLATE
    if not known:
        raise MCPError(types.INVALID_PARAMS, "There is no such prompt or resource template.")


def _one_page(
    result: types.Result,
) -> Callable[[Context, types.PaginatedRequestParams], Awaitable[Any]]:
    async def listed(_: Context, params: types.PaginatedRequestParams) -> types.Result:
        if params.cursor is not None:
            raise MCPError(types.INVALID_PARAMS, "This list comes in one page: no cursor was given out.")
        return result

    return listed


def _root(kind: Kind) -> types.Resource:
    return types.Resource(
        name=f"{kind}-tables",
        title=f"Tables of the {kind} database",
        uri=str(Address(kind)),
        description="Tables and views, a line each: kind, estimated rows, size, comment.",
        mime_type=_TEXT,
    )


def _listed(prompt: PromptSpec) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=argument.name, description=argument.description, required=argument.required)
        for argument in prompt.arguments
    ]
    return types.Prompt(
        name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments
    )


def _refusal(error: AgentDbError, uri: str) -> MCPError:
    """What is not there is an invalid parameter; the rest is an error of the server's, in our own words."""
    code = types.INVALID_PARAMS if isinstance(error, Missing) else types.INTERNAL_ERROR
    told = as_told(error)
    return MCPError(code, in_words(told), {"uri": uri, **told})
