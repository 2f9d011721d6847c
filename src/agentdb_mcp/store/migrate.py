"""The control plane's schema: numbered files, applied in order, each in a transaction with its record.

Our own, because those tried crash or deadlock when several processes start at once, or overlook an edited
file. Nobody waits *in* an advisory lock: that would deadlock with CREATE INDEX CONCURRENTLY; we ask again.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString, cast

import asyncpg

from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.store.connect import Connection

LOCK: Final = int.from_bytes(b"agentdbm")
LOCK_TRIES: Final = 600
LOCK_POLL_SECONDS: Final = 0.1
MIGRATION_SECONDS: Final = 3_600.0
"""Longest a migration may run."""

_FILE_NAME: Final = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")

_HISTORY_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""

# Not to_regclass(): it may answer from a cache that is older than the lock we have just been given.
_HAS_HISTORY: Final = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_migration' AND pg_table_is_visible(oid))"""

# Functions keep the search path they were made under (SET search_path FROM CURRENT): the schemas that
# are there, with temporary tables looked up last, so that nobody slips one under a name of ours.
_PIN_SEARCH_PATH: Final = """
SELECT set_config('search_path', concat_ws(', ', string_agg(quote_ident(name), ', '), 'pg_temp'), true)
  FROM unnest(current_schemas(false)) AS name"""

_REASONS: Final = {
    "42501": "the control plane's user may not do it",
    "42P07": "a table or index of that name is there already",
    "42710": "an object of that name is there already",
    "42723": "a function of that name is there already",
    "42703": "a table of the host's lacks a column that we refer to",
    "42804": "a key of the host's tables is not of type text",
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. Its checksum does not depend on how a checkout ends its lines."""

    version: int
    name: str
    sql: LiteralString
    checksum: str


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the history."""

    version: int
    name: str
    checksum: str


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """The migrations of a folder, in order.

    Raises Misconfigured("schema_edited") when the numbers are not 1, 2, 3 and so on, each once.
    """
    found = tuple(map(_read, sorted(folder.glob("*.sql"))))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise _edited(
            "The migration files of this installation are not numbered 0001, 0002 and so on, each once."
        )
    return found


async def migrate(connection: Connection, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Apply what is not applied yet; the names of what was. Any number of processes may do this at once.

    Raises Misconfigured: `schema_newer`, `schema_edited`, or `schema_incomplete` when a migration fails, and
    then that one and those after it left nothing behind. Raises Unavailable when another process holds
    the lock for about a minute.
    """
    if not await _pending(connection, migrations):
        return ()
    names: list[str] = []
    while applied := await _apply_next(connection, migrations):
        names.append(applied)
    return tuple(names)


async def _apply_next(connection: Connection, migrations: Sequence[Migration]) -> str | None:
    async with connection.transaction():
        await _lock(connection)
        pending = await _pending(connection, migrations)
        if not pending:
            return None
        await connection.execute(_PIN_SEARCH_PATH)
        try:
            await _apply(connection, pending[0])
        except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError) as error:
            raise _failed(pending[0], error) from None
    return pending[0].name


async def _apply(connection: Connection, migration: Migration) -> None:
    await connection.execute(_HISTORY_TABLE)
    await connection.execute(migration.sql, timeout=MIGRATION_SECONDS)
    await connection.execute(
        "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )


async def _lock(connection: Connection) -> None:
    for _ in range(LOCK_TRIES):
        if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return
        await asyncio.sleep(LOCK_POLL_SECONDS)
    raise Unavailable(
        "control_plane_unavailable",
        "Another process has been migrating the control plane for a minute.",
        "Wait for it, or end its session in the control plane; then try again.",
    )


async def _pending(connection: Connection, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations to apply, once the history is proved to be a beginning of ours."""
    history: list[Applied] = []
    if await connection.fetchval(_HAS_HISTORY):
        rows = await connection.fetch("SELECT version, name, checksum FROM schema_migration ORDER BY version")
        history = [Applied(**row) for row in rows]
    _check(history, migrations)
    return migrations[len(history) :]


def _check(history: Sequence[Applied], migrations: Sequence[Migration]) -> None:
    if history and history[-1].version > len(migrations):
        raise Misconfigured(
            "schema_newer",
            f"The control plane's schema is at {history[-1].version}; this build knows {len(migrations)}.",
            "Use the version of agentdb-mcp that migrated it, or a later one.",
        )
    for applied, migration in zip(history, migrations, strict=False):
        if (applied.version, applied.name) != (migration.version, migration.name):
            raise _edited(
                f"The control plane's history has {applied.name} where this build has {migration.name}."
            )
        if applied.checksum != migration.checksum:
            raise _edited(f"Migration {migration.name} differs from the one that was applied.")


def _read(path: Path) -> Migration:
    if (form := _FILE_NAME.fullmatch(path.name)) is None:
        raise _edited(f"{path.name} is not named like a migration, 0001_words_in_lower_case.sql.")
    text = path.read_text(encoding="utf-8")
    # Reviewed files of ours, as good as literals.
    return Migration(
        int(form[1]), path.stem, cast("LiteralString", text), hashlib.sha256(text.encode()).hexdigest()
    )


def _edited(message: str) -> Misconfigured:
    return Misconfigured(
        "schema_edited",
        message,
        "An applied migration is never changed: use the build that the schema was made with, or a later one.",
    )


def _failed(migration: Migration, error: asyncpg.PostgresError) -> Misconfigured:
    state = str(getattr(error, "sqlstate", "unknown"))
    why = _REASONS.get(state, "PostgreSQL refused it")
    return Misconfigured(
        "schema_incomplete",
        f"Migration {migration.name} could not be applied: {why} (SQLSTATE {state}).",
        "Nothing of it was kept. Mend that and run `agentdb migrate` again.",
    )
