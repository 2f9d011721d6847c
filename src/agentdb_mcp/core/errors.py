"""Every error a user can meet, sorted by who can act on it.

    AgentDbError(code, message, hint)
    ├─ Denied         the caller may not do this                 401 / 402 / 403 / 429
    ├─ Invalid        the request itself is wrong                400 / 413
    ├─ Missing        what it names is not there (yet)           404 / 409
    ├─ Unavailable    worth trying again later                   503 / 504
    ├─ Misconfigured  the operator must change a setting         500
    └─ SqlFailed      PostgreSQL refused the agent's own SQL     422

Codes are stable and documented in docs/reference/errors.md; a test compares both ways.
Messages say what happened and why, hints say what to do next. Neither ever holds a secret:
driver text passes only in `SqlFailed`, which is made from PostgreSQL's own fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class AgentDbError(Exception):
    """Base of the tree. `code` is stable, `message` and `hint` are for the reader who can act."""

    codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        if code not in self.codes:
            raise ValueError(f"{code} is not a code of {type(self).__name__}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.statement: int | None = None
        """Which of a call's several statements it speaks of, from 1. None of them took effect."""

    def as_dict(self) -> dict[str, Any]:
        """The wire form, the same on every front."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            body["hint"] = self.hint
        if self.statement is not None:
            body["statement"] = self.statement
        return body

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a statement was refused: the guard's rule and the place in the agent's own text."""

    rule: str
    """Stable rule id, documented in docs/reference/guard-rules.md."""
    found: str = ""
    """The offending piece, as the agent wrote it."""
    position: int | None = None
    """1-based character position in the agent's text."""


class Denied(AgentDbError):
    """The caller may not do this."""

    codes = frozenset(
        {
            "not_authenticated",
            "forbidden",
            "not_confirmed",
            "statement_denied",
            "budget_exceeded",
            "database_paused",
            "plan_too_costly",
            "database_protected",
            "rate_limited",
        }
    )

    def __init__(self, code: str, message: str, hint: str = "", *, refusal: Refusal | None = None) -> None:
        super().__init__(code, message, hint)
        self.refusal = refusal

    def as_dict(self) -> dict[str, Any]:
        body = super().as_dict()
        if self.refusal is not None:
            body["rule"] = self.refusal.rule
            if self.refusal.found:
                body["found"] = self.refusal.found
            if self.refusal.position is not None:
                body["position"] = self.refusal.position
        return body


class Invalid(AgentDbError):
    """The request itself is wrong."""

    codes = frozenset(
        {"sql_syntax", "bad_argument", "idempotency_conflict", "result_too_large", "rows_invalid"}
    )

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        position: int | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(code, message, hint)
        self.position = position
        self.problems = list(problems)
        """What is wrong, each with its place."""

    def as_dict(self) -> dict[str, Any]:
        body = super().as_dict()
        if self.position is not None:
            body["position"] = self.position
        if self.problems:
            body["problems"] = self.problems
        return body


class Missing(AgentDbError):
    """What the request names is not there, or not there yet."""

    codes = frozenset(
        {
            "cursor_expired",
            "database_not_found",
            "database_pending",
            "table_not_found",
            "token_not_found",
            "transaction_expired",
            "user_not_found",
            "workspace_not_found",
        }
    )


class Unavailable(AgentDbError):
    """Something else is at fault for now: the same request may succeed later."""

    codes = frozenset(
        {
            "provider_unavailable",
            "database_unavailable",
            "control_plane_unavailable",
            "query_timeout",
            "call_in_progress",
            "internal",
        }
    )


class Misconfigured(AgentDbError):
    """The operator must change something before this can work."""

    codes = frozenset(
        {
            "settings_invalid",
            "encryption_key_missing",
            "encryption_key_malformed",
            "encryption_key_unknown",
            "ciphertext_invalid",
            "schema_incomplete",
            "schema_edited",
            "schema_newer",
            "policy_invalid",
            "provider_limit_reached",
            "provider_refused",
            "project_shared",
            "compute_missing",
            "postgres_binaries_missing",
            "data_directory_invalid",
        }
    )


class SqlFailed(AgentDbError):
    """PostgreSQL refused the agent's own SQL: the agent reads this and mends the statement."""

    codes = frozenset({"sql_failed"})

    def __init__(
        self,
        *,
        sqlstate: str,
        message: str,
        hint: str = "",
        postgres_hint: str = "",
        detail: str = "",
        position: int | None = None,
        context: dict[str, str] | None = None,
    ) -> None:
        super().__init__("sql_failed", message, hint)
        self.sqlstate = sqlstate
        self.postgres_hint = postgres_hint
        """PostgreSQL's own, or that of a function which raised this: not our words, as `hint` is."""
        self.detail = detail
        self.position = position
        self.context = context or {}

    def as_dict(self) -> dict[str, Any]:
        body = super().as_dict()
        body["sqlstate"] = self.sqlstate
        if self.postgres_hint:
            body["postgres_hint"] = self.postgres_hint
        if self.detail:
            body["detail"] = self.detail
        if self.position is not None:
            body["position"] = self.position
        body.update(self.context)
        return body


FAMILIES: tuple[type[AgentDbError], ...] = (Denied, Invalid, Missing, Unavailable, Misconfigured, SqlFailed)
