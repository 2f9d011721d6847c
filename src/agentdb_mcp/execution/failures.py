"""What the driver raises, in our words: the agent's own SQL errors pass, those of the connection do not."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg

from agentdb_mcp.core.errors import AgentDbError, Invalid, SqlFailed, Unavailable

LOST: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""The connection broke, or was found broken."""

_RAISES: Final = "exec_stmt_raise"
"""Where PostgreSQL's source says a PL/pgSQL function's RAISE comes from (src/pl/plpgsql/src/pl_exec.c)."""


class Raised(asyncpg.PostgresError):
    """What a function raised. It chose the SQLSTATE, so that says nothing of the connection or the server."""


@contextmanager
def raised_apart() -> Generator[None]:
    """Around whatever may run an agent's functions: else one could pose as a connection that broke."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if getattr(error, "server_source_function", None) != _RAISES:
            raise
        raised = Raised(*error.args)
        vars(raised).update(vars(error))
        raise raised from None


_STOPPED = frozenset({"57014", "25P04"})
"""query_canceled and transaction_timeout: a time limit, or somebody who may, stopped the statement."""

_GOING_AWAY = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "53300"})
"""The server shuts down, starts up, drops the database, or has no connection left."""

_ALONE = (
    "This command makes transactions of its own: send it alone as `sql`, without `statements`, "
    "idempotency_key, dry_run and transaction."
)

_WAIT = "Another call or an open transaction holds it: commit or end that one, or try again in a moment."
_AGAIN = "Others changed the same rows meanwhile: run it again."

_HINTS = {"25001": _ALONE, "55P03": _WAIT, "40P01": _AGAIN, "40001": _AGAIN}
"""SQLSTATE -> what to do: active_sql_transaction (VACUUM, CREATE INDEX CONCURRENTLY and the like begin and
end their own), lock_not_available, deadlock_detected, serialization_failure."""

_READ_ONLY = "25006"
"""read_only_sql_transaction: what looks like a read called something that writes."""

_CALL_IT = (
    "`query` only reads. Call a function that writes through `execute`, by its name and schema: "
    "SELECT public.f()."
)

_FIELDS = {
    "schema": "schema_name",
    "table": "table_name",
    "column": "column_name",
    "constraint": "constraint_name",
    "datatype": "data_type_name",
    "where": "context",
}
"""Our name -> asyncpg's, for the fields of an error report (manual, "Error and Notice Message Fields")."""


def sqlstate(error: asyncpg.PostgresError) -> str:
    """The five characters PostgreSQL classifies its errors by."""
    return str(getattr(error, "sqlstate", ""))


def said_goodbye(error: BaseException) -> bool:
    """Whether the server told why it closed the connection; otherwise it just was not there any more."""
    return isinstance(error.__cause__, asyncpg.PostgresError)


def ended_the_session(error: asyncpg.PostgresError) -> bool:
    """Whether with these words the server closed the connection."""
    return getattr(error, "severity_en", "") in {"FATAL", "PANIC"}


def timed_out(seconds: float | None = None) -> Unavailable:
    """A statement that reached our deadline, or the database's own (None)."""
    limit = f"its time limit of {seconds:g} s" if seconds is not None else "the database's own time limit"
    return Unavailable(
        "query_timeout",
        f"The statement was stopped at {limit}.",
        "Narrow it (WHERE, LIMIT, fewer joins), add an index, or split the work.",
    )


def _too_large(what: str) -> Invalid:
    """An answer that cannot be given, not even in part."""
    return Invalid(
        "result_too_large",
        what,
        "Select fewer columns or rows (LIMIT), or parts of large values, e.g. left(body, 1000).",
    )


def row_too_large(most: int) -> Invalid:
    """The same of one row, which fewer rows would not make any smaller."""
    return Invalid(
        "result_too_large",
        f"A single row is larger than this result may be ({most:,} bytes).",
        "Select fewer columns, or parts of large values, e.g. left(body, 1000), or raise max_bytes.",
    )


def flooded(*, in_doubt: bool) -> Invalid:
    """An answer that was not waited for."""
    doubt = " Whether the change took effect is not known: look before running it again." if in_doubt else ""
    return _too_large("The answer was too large to be received, even in part." + doubt)


def no_connection(seconds: float) -> Unavailable:
    """A statement that reached its deadline before it had a connection to run on."""
    return Unavailable(
        "database_unavailable",
        f"No connection to the database became free within {seconds:g} s.",
        "Other calls may be running, or the database is waking up: try again in a moment.",
    )


def translated(error: asyncpg.PostgresError, *, reads: bool = False) -> AgentDbError:
    """What the server answered, to be raised `from None`. A statement that `reads` ran as the reader."""
    state = sqlstate(error)
    if isinstance(error, Raised):
        return _refused(error, "")
    if state in _STOPPED:
        return timed_out()
    if state in _GOING_AWAY:
        return connection_lost(in_doubt=False)
    return _refused(error, _CALL_IT if reads and state == _READ_ONLY else _HINTS.get(state, ""))


def connection_lost(*, in_doubt: bool) -> Unavailable:
    """The database went away in mid-call."""
    if in_doubt:
        return Unavailable(
            "database_unavailable",
            "The connection was lost while the statement ran; whether it took effect is not known.",
            "Look at the data before running it again.",
        )
    return Unavailable(
        "database_unavailable", "The connection to the database was lost.", "Nothing was changed; try again."
    )


def _refused(error: asyncpg.PostgresError, hint: str) -> SqlFailed:
    position = getattr(error, "position", None)
    context = {
        ours: str(value) for ours, theirs in _FIELDS.items() if (value := getattr(error, theirs, None))
    }
    return SqlFailed(
        sqlstate=sqlstate(error),
        message=str(getattr(error, "message", "") or error),
        hint=hint,
        postgres_hint=str(getattr(error, "hint", "") or ""),
        detail=str(getattr(error, "detail", "") or ""),
        position=int(position) if position else None,
        context=context,
    )
