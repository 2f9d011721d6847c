"""The names and roles of one tenant's database: statements only, no connection."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.identifiers import quote_identifier, quote_literal
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.providers.scram import scram_verifier

PLAIN: Final = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
"""A role that is nothing but itself."""

PLAIN_FOR_OTHERS: Final = "NOCREATEDB NOCREATEROLE"
"""The part of it that ALTER ROLE takes from anyone but a superuser."""

CONNECTIONS: Final[dict[Kind, LiteralString]] = {Kind.AGENT: "10", Kind.GLOBAL: "100"}
"""Most sessions of one role. An agent's own database has one server process; a global one has a process for
each agent of its user.
"""

ROLE_SETTINGS: Final[dict[LiteralString, LiteralString]] = {
    # A net below the limits the executor sets around each statement. The role can lift them for itself.
    "statement_timeout": "30s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "60s",
    # The server ends the query of a client that left; the default is to let it run on.
    "client_connection_check_interval": "1s",
    "search_path": "public, extensions",
}

SUPERUSER_SETTINGS: Final[dict[LiteralString, LiteralString]] = {
    "temp_file_limit": "1GB",
    # RAISE LOG, and settings like debug_print_plan, would write what they please into a log that all share.
    "log_min_messages": "fatal",
}
"""Only a superuser, or whom one lets, sets these, and so no role lifts them."""


@dataclass(frozen=True, slots=True)
class Names:
    """Opaque, because catalogs show them; derived from the id, so that creating twice finds the first."""

    database: str
    owner: str
    writer: str
    reader: str

    @classmethod
    def of(cls, database_id: DatabaseId) -> "Names":
        """The names of the database with this id."""
        stem = database_id.replace("-", "")
        return cls(f"d_{stem}", f"o_{stem}", f"w_{stem}", f"r_{stem}")

    @property
    def roles(self) -> tuple[str, str, str]:
        """All three, the owner first."""
        return self.owner, self.writer, self.reader

    @property
    def logins(self) -> tuple[str, str]:
        """The two that agents connect as."""
        return self.writer, self.reader


def make_roles(names: Names, present: Collection[str], *, superuser: bool) -> Iterator[LiteralString]:
    """The three roles, none of which can log in yet; a role that is there already is set right."""
    for role in names.roles:
        # Before 16 an owner with NOINHERIT would not own the schema "public" of its database.
        inherit: LiteralString = "INHERIT" if role == names.owner else "NOINHERIT"
        yield make_role(role, inherit, present=role in present, superuser=superuser)


def make_role(
    name: str, inherit: LiteralString = "NOINHERIT", *, present: bool, superuser: bool
) -> LiteralString:
    """One role that cannot log in yet, or an existing one set right."""
    if present:
        return f"ALTER ROLE {quote_identifier(name)} {PLAIN if superuser else PLAIN_FOR_OTHERS} {inherit}"
    return f"CREATE ROLE {quote_identifier(name)} NOLOGIN {PLAIN} {inherit}"


def settings_of(name: str, *, reader: bool) -> Iterator[LiteralString]:
    """The role's own defaults, and none that it gave itself meanwhile."""
    yield f"ALTER ROLE {quote_identifier(name)} RESET ALL"
    for setting, value in ROLE_SETTINGS.items():
        yield _setting(name, setting, value)
    if reader:
        yield _setting(name, "default_transaction_read_only", "on")


def superuser_settings_of(name: str, may_set: Collection[str]) -> Iterator[LiteralString]:
    """The defaults the role cannot lift, as far as we may set them."""
    for setting, value in SUPERUSER_SETTINGS.items():
        if setting in may_set:
            yield _setting(name, setting, value)


def open_role(name: str, password: str, kind: Kind) -> LiteralString:
    """Let the role in with a new password. What is sent is a verifier: no log can hold the password."""
    role, verifier = quote_identifier(name), quote_literal(scram_verifier(password))
    return f"ALTER ROLE {role} LOGIN CONNECTION LIMIT {CONNECTIONS[kind]} PASSWORD {verifier}"


def grants_on_database(names: Names) -> Iterator[LiteralString]:
    """Nobody but the two roles connects; no temporary tables; the writer may make schemas."""
    database, writer, reader = map(quote_identifier, (names.database, names.writer, names.reader))
    yield f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"
    yield f"GRANT CONNECT, CREATE ON DATABASE {database} TO {writer}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {reader}"
    for role in (writer, reader):
        yield f"ALTER ROLE {role} IN DATABASE {database} RESET ALL"


def grants_within(names: Names) -> Iterator[LiteralString]:
    """The writer's place, and the reader's view of everything the writer will ever make."""
    writer, reader = map(quote_identifier, (names.writer, names.reader))
    yield f"GRANT USAGE, CREATE ON SCHEMA public TO {writer}"
    yield f"GRANT USAGE ON SCHEMA public TO {reader}"
    defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {writer} GRANT"
    yield f"{defaults} SELECT ON TABLES TO {reader}"
    yield f"{defaults} SELECT ON SEQUENCES TO {reader}"
    yield f"{defaults} USAGE ON SCHEMAS TO {reader}"


def _setting(role: str, setting: LiteralString, value: LiteralString) -> LiteralString:
    # search_path is a list: quoted as one string it would name one schema.
    literal = value if setting == "search_path" else quote_literal(value)
    return f"ALTER ROLE {quote_identifier(role)} SET {setting} = {literal}"
