"""The environment becomes frozen settings here, and nowhere else is it read.

docs/reference/settings.md explains every name; a test compares the two both ways.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from agentdb_mcp.core.consent import Rule
from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.schema import Limits
from agentdb_mcp.core.secrets import ApiKey, ConnectionUri, KeyText

ROOT_HOME: Final = Path("/var/lib/agentdb/home")
"""Root's home: PostgreSQL refuses to run as root, and the user it runs as cannot reach into /root."""

OWN_PREFIX: Final = "AGENTDB_"


def _default_home() -> Path:
    return ROOT_HOME if os.geteuid() == 0 else platformdirs.user_data_path("agentdb")


def _keys(text: str) -> tuple[KeyText, ...]:
    return tuple(KeyText(part.strip()) for part in text.split(",") if part.strip())


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if any("*" in name or name.endswith("/") for name in names):
        raise ValueError("takes whole names, without * and without a / at the end")
    return names


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("names a user's home that is not there") from None


Home = Annotated[Path, AfterValidator(_absolute)]
LowerCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


class Settings(BaseModel):
    """What an operator may set. Secrets are only wrapped here: their form is judged where they are used."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    home: Home = Field(default_factory=_default_home, validation_alias="AGENTDB_HOME")
    """Where the embedded Postgres and the key file live."""
    control_url: Annotated[ConnectionUri, PlainValidator(ConnectionUri)] | None = Field(
        default=None, validation_alias="AGENTDB_CONTROL_URL"
    )
    """A Postgres of one's own as the control plane; None means the embedded one."""
    provider: Annotated[Literal["local", "server", "neon"], LowerCase] = Field(
        default_factory=lambda given: "local" if given.get("control_url") is None else "server",
        validation_alias="AGENTDB_PROVIDER",
    )
    """Where new databases are made: on the embedded Postgres, on the control plane's server, or at Neon."""
    neon_api_key: Annotated[ApiKey, PlainValidator(ApiKey)] | None = Field(
        default=None, validation_alias="NEON_API_KEY"
    )
    """Opens every database at Neon: for processes that make databases, never for those that serve agents."""
    neon_organization: str | None = Field(default=None, validation_alias="AGENTDB_NEON_ORGANIZATION")
    """Needed with a personal key; a key of an organization implies it."""
    neon_region: str | None = Field(default=None, validation_alias="AGENTDB_NEON_REGION")
    """Where new projects are made; None: Neon's choice."""
    neon_api_url: str | None = Field(
        default=None, pattern=r"^https?://", validation_alias="AGENTDB_NEON_API_URL"
    )
    """A stand-in for Neon's API; None: Neon."""
    encryption_key: Annotated[KeyText, PlainValidator(KeyText)] | None = Field(
        default=None, validation_alias="NEON_CONNECTION_ENCRYPTION_KEY"
    )
    """The key that seals; None means the key file in `home`, where that is allowed (store/keys.py)."""
    old_encryption_keys: Annotated[tuple[KeyText, ...], PlainValidator(_keys)] = Field(
        default=(), validation_alias="AGENTDB_OLD_ENCRYPTION_KEYS"
    )
    """Keys that still open what they sealed."""
    max_rows: int = Field(default=1_000, ge=1, le=1_000_000, validation_alias="AGENTDB_MAX_ROWS")
    """Most rows of one result; a caller can ask for fewer, never for more."""
    max_result_bytes: int = Field(
        default=1_000_000, ge=1_000, le=100_000_000, validation_alias="AGENTDB_MAX_RESULT_BYTES"
    )
    """Most bytes of one result."""
    max_result_tokens: int = Field(
        default=10_000, ge=200, le=10_000_000, validation_alias="AGENTDB_MAX_RESULT_TOKENS"
    )
    """Most tokens of one answer's text, at four characters each."""
    max_cell_chars: int = Field(
        default=4_000, ge=40, le=100_000_000, validation_alias="AGENTDB_MAX_CELL_CHARS"
    )
    """Characters of one cell, unless a call asks for more or less; the other caps hold all the same."""
    statement_timeout_seconds: float = Field(
        default=30.0, gt=0, le=3_600, validation_alias="AGENTDB_STATEMENT_TIMEOUT_SECONDS"
    )
    """Longest a statement of an agent's may run, and wait for its turn."""
    max_concurrent: int = Field(default=4, ge=1, le=10, validation_alias="AGENTDB_MAX_CONCURRENT")
    """Most calls of one workspace at once; PostgreSQL lets ten connections of a role in."""
    destructive: Annotated[Rule, LowerCase] = Field(
        default="ask-or-allow", validation_alias="AGENTDB_DESTRUCTIVE"
    )
    """What becomes of statements that destroy data, and where the client can ask nobody."""
    confirm_rows: int = Field(default=1_000, ge=1, le=1_000_000_000, validation_alias="AGENTDB_CONFIRM_ROWS")
    """Most rows that one call may update and delete unasked, where somebody can be asked."""
    audit: Annotated[Literal["batched", "strict", "off"], LowerCase] = Field(
        default="batched", validation_alias="AGENTDB_AUDIT"
    )
    """How what agents and operators do is written down; `strict`: a change waits until its intent is."""
    audit_statements: Annotated[Literal["hash", "full"], LowerCase] = Field(
        default="hash", validation_alias="AGENTDB_AUDIT_STATEMENTS"
    )
    """Whether the audit trail keeps the text of statements, constants included."""
    audit_days: int = Field(default=90, ge=1, le=36_500, validation_alias="AGENTDB_AUDIT_DAYS")
    """How long records of the audit trail are kept."""
    audit_rows: int = Field(default=1_000_000, ge=10_000, validation_alias="AGENTDB_AUDIT_ROWS")
    """Most records that are kept of one user."""
    http_allowed_hosts: Annotated[tuple[str, ...], PlainValidator(_names)] = Field(
        default=(), validation_alias="AGENTDB_HTTP_ALLOWED_HOSTS"
    )
    """Names that requests over HTTP may be addressed to, beside this machine's own when nobody else hears."""
    http_allowed_origins: Annotated[tuple[str, ...], PlainValidator(_names)] = Field(
        default=(), validation_alias="AGENTDB_HTTP_ALLOWED_ORIGINS"
    )
    """Web pages that may send requests."""
    delete_grace_hours: int | None = Field(
        default=None, ge=0, le=2_160, validation_alias="AGENTDB_DELETE_GRACE_HOURS"
    )
    """How long deleted databases are kept, paused; None: as it was set last, at first not at all."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = Field(
        default="warning", validation_alias="AGENTDB_LOG_LEVEL"
    )
    """The least severe log lines that are written, to stderr."""

    @model_validator(mode="after")
    def _provider_fits_the_control_plane(self) -> Self:
        """Databases made on one server and looked for on another would be lost to everybody."""
        if self.provider == "server" and self.control_url is None:
            raise ValueError("AGENTDB_PROVIDER=server means the server of AGENTDB_CONTROL_URL: set both")
        if self.provider == "local" and self.control_url is not None:
            raise ValueError(
                "AGENTDB_PROVIDER=local means the embedded Postgres, and AGENTDB_CONTROL_URL another: set one"
            )
        return self

    @property
    def key_file(self) -> Path | None:
        """Where generated keys are kept; None with a Postgres of one's own, which wants a key too."""
        return self.home / "encryption.key" if self.control_url is None else None

    @property
    def limits(self) -> Limits:
        """What an agent is told of its limits."""
        return Limits(
            self.max_rows,
            self.max_result_bytes,
            self.max_result_tokens,
            self.max_cell_chars,
            self.statement_timeout_seconds,
            self.max_concurrent,
        )

    @property
    def caps(self) -> Caps:
        """The ceilings on one result."""
        return Caps(
            self.max_rows,
            self.max_result_bytes,
            self.statement_timeout_seconds,
            self.max_result_tokens,
            self.max_cell_chars,
        )


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """What the environment says; an empty value counts as absent.

    Raises Misconfigured("settings_invalid") with all problems at once, and never a value.
    """
    given = os.environ if environment is None else environment
    problems = [_unknown(name) for name in sorted(set(given) - names()) if _is_ours(name)]
    try:
        settings = Settings.model_validate({name: given[name] for name in names() if given.get(name)})
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors(include_input=False)]
    else:
        if not problems:
            return settings
    raise Misconfigured(
        "settings_invalid",
        "The settings in the environment are not valid: " + "; ".join(problems) + ".",
        "docs/reference/settings.md explains every name.",
    ) from None


def names() -> frozenset[str]:
    """Every environment variable that is read."""
    return frozenset(str(field.validation_alias) for field in Settings.model_fields.values())


def _is_ours(name: str) -> bool:
    return name.upper().startswith(OWN_PREFIX)


def _problem(detail: Any) -> str:
    name = str(detail["loc"][0]) + ": " if detail["loc"] else ""
    return name + detail["msg"].removeprefix("Value error, ")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.upper(), names(), n=1)
    return f"{name} is not a setting" + (f", did you mean {near[0]}?" if near else "")
