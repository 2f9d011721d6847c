"""What the referees look for that this server is not meant to have: docs/reference/mcp.md says why."""

from typing import Final

NO_AUTHORIZATION_SERVER: Final = {"PRM-03"}

_FIXTURES: Final = {
    "completion-complete",
    "json-schema-2020-12",
    *(f"prompts-get-{name}" for name in ("simple", "with-args", "embedded-resource", "with-image")),
    *("resources-read-text", "resources-read-binary", "resources-templates-read"),
    *(
        f"tools-call-{name}"
        for name in ("image", "audio", "embedded-resource", "mixed-content", "with-progress")
    ),
}
"""Scenarios that call a tool, a prompt or a resource of the suite's own."""

NOT_FOR_US: Final = {
    "2025-11-25": {
        *_FIXTURES,
        *("resources-subscribe", "resources-unsubscribe", "server-sse-polling"),
        *("tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums"),
        *("tools-call-sampling", "tools-call-with-logging", "logging-set-level"),
    },
    "2026-07-28": {
        *_FIXTURES,
        *(
            f"input-required-result-{name}"
            for name in (
                *("basic-elicitation", "basic-sampling", "basic-list-roots", "request-state", "multi-round"),
                *("multiple-input-requests", "non-tool-request", "result-type", "tampered-state"),
                "capability-check",
            )
        ),
        *("server-stateless: sep-2575-server-rejects-undeclared-capability",),
        *("server-stateless: sep-2575-missing-capability-http-400",),
        "http-custom-header-server-validation",
        *(
            f"tasks-{name}"
            for name in (
                *("lifecycle", "capability-negotiation", "wire-fields", "request-state-removal"),
                *("mrtr-input", "mrtr-composition", "request-headers", "dispatch-and-envelope"),
                "required-task-error",
            )
        ),
    },
}
"""Of each revision: scenarios, and single checks of a scenario that is for us otherwise."""
