"""What one database accepts, read from a file in `policies/`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from agentdb_mcp.core.guard.classes import Tool
from agentdb_mcp.core.guard.patterns import Patterns


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes. Bytes are UTF-8, depth counts open brackets; a string constant or a comment is one token."""

    max_bytes: int
    max_depth: int
    max_tokens: int
    max_comments: int
    max_tree: int
    statement_timeout_ms: int
    """The ceiling of what a call may ask for."""
    max_plan_cost: int | None = None
    """What PostgreSQL may expect a statement to cost, in the planner's units; None asks nobody."""


@dataclass(frozen=True, slots=True)
class Family:
    """Functions that are refused for the same reason."""

    name: str
    members: Patterns
    exceptions: Patterns
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class Functions:
    """`refuse`: all but the families' members. `allow`: only those listed, and never a family's member."""

    mode: Literal["refuse", "allow"]
    families: tuple[Family, ...]
    allowed: Patterns

    def family_of(self, name: str) -> Family | None:
        """The family that refuses this function, if one does."""
        for family in self.families:
            if name in family.members and name not in family.exceptions:
                return family
        return None


@dataclass(frozen=True, slots=True)
class Schemas:
    """Which schemas may be named at all, and what may not be done to some of them."""

    allowed: Patterns
    protected: Patterns
    """Nothing is written or defined in these."""
    kept: Patterns
    """These are neither dropped nor renamed."""
    closed: Patterns
    """Nothing in these is even read."""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """When sqlglot is asked as well: its own limits, for it is slow where PostgreSQL's parser is not."""

    enabled: bool
    max_bytes: int
    max_depth: int
    max_subscripts: int
    max_tokens: int
    max_work: int
    """Brackets, each counted double for every level it stands at: so its time grows."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file, checked. Equal digests mean equal verdicts."""

    name: str
    version: int
    grammar: int
    digest: str
    """SHA-256 of the resolved content."""
    limits: Limits
    commands: dict[Tool, frozenset[str]]
    features: frozenset[str]
    """The features (values of `facts.Feature`) that are allowed."""
    schemas: Schemas
    catalogs: Patterns
    information_schema: Patterns
    functions: Functions
    refused_types: Patterns
    shown_settings: Patterns
    routine_settings: Patterns
    extensions: Patterns
    languages: Patterns
    second: SecondOpinion

    @classmethod
    def load(cls, path: Path) -> Self:
        """The policy in that file, with what it extends from the same folder.

        Raises Misconfigured("policy_invalid") naming file and line for anything that is not as documented.
        """
        from agentdb_mcp.core.guard.policy_file import read_policy

        return cls(**read_policy(path))

    def __hash__(self) -> int:
        return hash(self.digest)

    def allows(self, command: str) -> bool:
        """Whether any tool takes this command."""
        return any(command in commands for commands in self.commands.values())

    def serves(self, tool: Tool) -> bool:
        """Whether this tool takes anything at all."""
        return bool(self.commands[tool])


def digest_of(content: str) -> str:
    """The fingerprint of a policy's resolved content."""
    return hashlib.sha256(content.encode()).hexdigest()


def load_policies(folder: Path) -> dict[str, Policy]:
    """Every policy of the folder by name. Raises Misconfigured("policy_invalid")."""
    policies = [Policy.load(path) for path in sorted(folder.glob("*.toml"))]
    return {policy.name: policy for policy in policies}
