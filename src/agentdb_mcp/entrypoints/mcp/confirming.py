"""Tool calls that may need the user's word, in both of the protocol's eras.

In the handshake era the server asks while the call is under way (`elicitation/create`). In the newer one the
call ends with the question, and the client sends it again with the answer and with a state of ours, which the
SDK seals: bound to the method, the tool, its arguments, the caller and a time.
"""

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from mcp import MCPError, types
from mcp.server import ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agentdb_mcp.core.consent import Agreement, Person, Question, Reply, unconfirmed
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Denied
from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools
from agentdb_mcp.entrypoints.mcp.render import ToolAnswer, failure

Context = ServerRequestContext[Any]

ANSWER_SECONDS: Final = 300.0
"""How long a user may think."""

_MOST_QUESTIONS: Final = 3
"""In one call: what was agreed to may have grown meanwhile."""

_MOST_USED: Final = 10_000

_NAME: Final = "confirm"
_FORM: Final = {"type": "object", "properties": {}}
"""Nothing to fill in: the answer is to accept or not."""


class Confirming:
    """Answers tool calls, and asks the user where a call needs it."""

    def __init__(self, seconds: float = ANSWER_SECONDS) -> None:
        self._seconds = seconds
        self._used: OrderedDict[str, None] = OrderedDict()
        """Answers that were taken, the latest of them."""

    def boundary(self, keys: Sequence[bytes]) -> RequestStateBoundary:
        """Seals and opens the states: under keys that processes share, or one of this process."""
        ephemeral = RequestStateSecurity.ephemeral(ttl=self._seconds)
        security = RequestStateSecurity(keys=list(keys), ttl=self._seconds) if keys else ephemeral
        return RequestStateBoundary(security, default_audience="agentdb")

    async def answer(
        self, tools: AgentTools, context: Context, params: types.CallToolRequestParams
    ) -> dict[str, Any]:
        """The result of a call, in its wire form."""
        if not _can_be_asked(context):
            return _wire(await tools.call(params.name, params.arguments or {}))
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await self._in_rounds(tools, params)
        return _wire(await self._in_dialogue(tools, context, params))

    async def _in_dialogue(
        self, tools: AgentTools, context: Context, params: types.CallToolRequestParams
    ) -> ToolAnswer:
        answer = await tools.call(params.name, params.arguments or {}, Person(can_be_asked=True))
        for _ in range(_MOST_QUESTIONS):
            if answer.question is None:
                break
            reply = await self._asked(context, answer.question)
            if reply is not None:
                return failure(unconfirmed(reply), answer.question.kind)
            person = Person(can_be_asked=True, agreed=answer.question.agreement)
            answer = await tools.call(params.name, params.arguments or {}, person)
        return answer

    async def _asked(self, context: Context, question: Question) -> Reply | None:
        """None for a yes. A client that cannot show the question, though it said so, gets no yes."""
        try:
            async with asyncio.timeout(self._seconds):
                result = await context.session.elicit_form(question.text, _FORM, context.request_id)
        except TimeoutError:
            return "silence"
        except (MCPError, ValidationError):
            return "failure"
        return None if result.action == "accept" else result.action

    async def _in_rounds(self, tools: AgentTools, params: types.CallToolRequestParams) -> dict[str, Any]:
        person = Person(can_be_asked=True)
        reply = (params.input_responses or {}).get(_NAME)
        if params.request_state is not None and isinstance(reply, types.ElicitResult):
            state = json.loads(params.request_state)
            if not self._is_first_use(state["nonce"]):
                return _wire(failure(_used_before(), Kind(state["kind"])))
            if reply.action != "accept":
                return _wire(failure(unconfirmed(reply.action), Kind(state["kind"])))
            person = Person(can_be_asked=True, agreed=Agreement(**state["agreement"]))
        answer = await tools.call(params.name, params.arguments or {}, person)
        return _wire(answer) if answer.question is None else _input_required(answer.question)

    def _is_first_use(self, nonce: str) -> bool:
        if nonce in self._used:
            return False
        self._used[nonce] = None
        if len(self._used) > _MOST_USED:
            self._used.popitem(last=False)
        return True


def _can_be_asked(context: Context) -> bool:
    """Whether the client said that it shows forms, and can be reached where a request of ours is needed."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS or context.session.can_send_request


def _wire(answer: ToolAnswer) -> dict[str, Any]:
    """The wire form itself: a CallToolResult would be built only to be taken apart again, cell by cell.

    Connections of the handshake era drop `resultType`, which the newer era demands.
    """
    return {
        "content": [{"type": "text", "text": answer.text}],
        "structuredContent": answer.structured,
        "isError": answer.is_error,
        "resultType": "complete",
    }


def _input_required(question: Question) -> dict[str, Any]:
    state = {
        "nonce": secrets.token_hex(16),
        "kind": question.kind,
        "agreement": asdict(question.agreement),
    }
    asked = {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": question.text, "requestedSchema": _FORM},
    }
    return {
        "inputRequests": {_NAME: asked},
        "requestState": json.dumps(state),
        "resultType": "input_required",
    }


def _used_before() -> Denied:
    return Denied(
        "not_confirmed",
        "This confirmation was used before, for a call that has run: nothing was run this time.",
        "Look at what that call did; call again without it to have the user asked anew.",
    )
