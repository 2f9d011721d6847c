"""What Neon says when it does not do as asked, in our words. Its own text goes to the log, scrubbed, and no
further: it may speak of a Neon plan that the reader does not have.
"""

import re
from typing import Final

from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Missing, Unavailable

_ADDRESS: Final = re.compile(r"\S*://\S*")
_KEYS: Final = "Neon's console lists the keys of an organization under Settings, API keys."


class Gone(Missing):
    """404: Neon knows no such project, or not under this key."""

    def __init__(self) -> None:
        super().__init__(
            "database_not_found",
            "Neon knows no such project under this key.",
            "It was deleted there, or NEON_API_KEY belongs to another organization.",
        )


class Forbidden(Misconfigured):
    """403: the key is good, and not for this."""

    def __init__(self) -> None:
        super().__init__(
            "settings_invalid",
            "NEON_API_KEY may not do this.",
            "Use a key of the organization that holds the projects.",
        )


class OutcomeUnknown(Unavailable):
    """A change was sent and its answer is missing: it may have happened, and may still happen."""

    def __init__(self) -> None:
        super().__init__(
            "provider_unavailable",
            "Neon did not say whether it did as asked.",
            "Nothing is lost: the next try looks first.",
        )


def unreachable() -> Unavailable:
    """Neon did not answer, or asked to come back later, for longer than we wait."""
    return Unavailable("provider_unavailable", "Neon does not answer for now.", "Try again in a minute.")


def key_missing() -> Misconfigured:
    """The operator chose Neon and gave no key."""
    return Misconfigured("settings_invalid", "Neon is chosen, and NEON_API_KEY is not set.", _KEYS)


def compute_missing() -> Misconfigured:
    """A project without a compute opens for nobody; making one is left to people, who took it away."""
    return Misconfigured(
        "compute_missing",
        "The Neon project has no compute any more: somebody deleted it at Neon.",
        "Its data is there. Add a compute to the project's default branch, then: agentdb database mend ID.",
    )


def refusal(status: int, code: str, request_id: str, path: str) -> AgentDbError:
    """The error for a status of 4xx. `code` is Neon's and often empty."""
    if status == 404 and path == "/projects":
        return Misconfigured(
            "settings_invalid",
            "Neon does not know the organization under this key.",
            "Check AGENTDB_NEON_ORGANIZATION, and that NEON_API_KEY is of that organization.",
        )
    if status == 404:
        return Gone()
    if status == 401:
        return Misconfigured("settings_invalid", "Neon does not accept NEON_API_KEY.", _KEYS)
    if code.endswith("_EXCEEDED"):
        return Misconfigured(
            "provider_limit_reached",
            f"The Neon account has reached a limit of its plan ({code}).",
            "Delete what is not needed or raise the limit with Neon.",
        )
    if status == 403:
        return Forbidden()
    detail = f"status {status}" + (f", code {code}" if code else "")
    return Misconfigured(
        "provider_refused",
        f"Neon refused the request ({detail}).",
        f"The log has Neon's reason, under the request id {request_id}.",
    )


def loggable(message: str) -> str:
    """Neon's text without anything that looks like an address, cut to a line."""
    return _ADDRESS.sub("[address]", message).replace("\n", " ")[:200]
