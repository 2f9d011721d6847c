"""What the driver raises, said as our errors: once, where it leaves the store. Driver text never passes."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg
from asyncpg import exceptions as pg

from agentdb_mcp.core.errors import AgentDbError, Invalid, Misconfigured, Unavailable

_UNREACHABLE: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    (TimeoutError, "did not answer in time"),
    (ssl.SSLCertVerificationError, "showed a certificate that cannot be verified (see sslrootcert)"),
    (pg.InvalidAuthorizationSpecificationError, "refused the user or the password"),
    (pg.InvalidCatalogNameError, "has no database of that name"),
    (pg.TooManyConnectionsError, "has no connection left"),
    (pg.CannotConnectNowError, "is starting up or shutting down"),
    (pg.InsufficientResourcesError, "is out of space, memory or another resource"),
    (pg.ReadOnlySQLTransactionError, "does not accept writes at the moment"),
    (pg.OperatorInterventionError, "was stopped or restarted"),
    (
        (OSError, pg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError),
        "cannot be reached",
    ),
)


@contextmanager
def translated() -> Generator[None]:
    """Failures of the control plane's Postgres leave this block as ours."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise _said(error) from None


def _said(error: Exception) -> AgentDbError:
    if isinstance(error, (pg.CharacterNotInRepertoireError, pg.UntranslatableCharacterError)):
        return Invalid("bad_argument", "A text holds a character that PostgreSQL cannot keep, such as NUL.")
    for kinds, what in _UNREACHABLE:
        if isinstance(error, kinds):
            return Unavailable(
                "control_plane_unavailable",
                f"The control plane's PostgreSQL {what}.",
                "Check that it runs, and AGENTDB_CONTROL_URL where that is set; then try again.",
            )
    if isinstance(error, (pg.UndefinedTableError, pg.UndefinedColumnError, pg.UndefinedFunctionError)):
        return Misconfigured(
            "schema_incomplete",
            "The control plane lacks a table or a column that this build needs.",
            "Run `agentdb migrate`. Tables of a host's own need the columns that the migrations name.",
        )
    if isinstance(error, pg.InsufficientPrivilegeError):
        return Misconfigured(
            "settings_invalid",
            "The control plane's user may not read or write a table that we need.",
            'Let it own the tables that the migrations make, and grant it the host\'s "user" and workspace.',
        )
    return Unavailable(
        "internal",
        f"The control plane refused a statement of ours (SQLSTATE {getattr(error, 'sqlstate', 'unknown')}).",
        "This is a fault of agentdb-mcp: report it with the SQLSTATE.",
    )
