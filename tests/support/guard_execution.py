"""Every hostile statement run as an agent's own roles with no guard in the way: what do the roles stop by themselves?

`python -m support.guard_execution` (from `tests/`) writes the table into the documentation; a test compares it.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.core.databases import Credentials
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.server import ServerProvider
from support.members import throwaway_server
from support.servers import fresh_spec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "guard-execution.md"
CORPUS = ROOT / "tests" / "security" / "corpus" / "hostile.jsonl"

RUNS, RIGHTS, OTHER = "runs", "rights", "other"
_NOT_IN_TRANSACTION = "25001"
_TIME_LIMIT_MS = 100
_PATIENCE = 3.0
"""Seconds for a statement that makes the driver wait for ever, as COPY FROM STDIN does."""

SET_UP = """
CREATE TABLE t (a int UNIQUE, b text, x int, id int, note text, done bool);
CREATE TABLE u (a int, id int);
CREATE TABLE s (id int, qty int);
CREATE VIEW v AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
CREATE INDEX i ON t (a);
CREATE SEQUENCE q;
CREATE SCHEMA app;
CREATE FUNCTION g() RETURNS int LANGUAGE sql RETURN 1;
CREATE PROCEDURE p(a int) LANGUAGE sql AS '';
INSERT INTO t VALUES (1, 'x', 1, 1, 'n', false);
"""


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


class _Role:
    """One role's connection, renewed when a statement wears it out."""

    def __init__(self, uri: ConnectionUri) -> None:
        self._uri = uri
        self._connection: Any = None

    async def outcome(self, sql: str) -> str:
        """What came of it: it ran (a time limit counts as running), rights were missing, or anything else."""
        found = await self._attempt(sql, inside=True)
        return await self._attempt(sql, inside=False) if found == _NOT_IN_TRANSACTION else found

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def _attempt(self, sql: str, *, inside: bool) -> str:
        connection = await self._clean()
        try:
            if inside:
                await connection.execute("BEGIN")
            await asyncio.wait_for(connection.fetch(sql), _PATIENCE)
        except asyncpg.InsufficientPrivilegeError:
            return RIGHTS
        except asyncpg.ActiveSQLTransactionError:
            return _NOT_IN_TRANSACTION
        except (asyncpg.QueryCanceledError, TimeoutError):
            await self.close()
            return RUNS
        except asyncpg.InternalClientError:  # it was prepared; asyncpg alone cannot read such a result
            return RUNS
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, AttributeError):
            return OTHER
        return RUNS

    async def _clean(self) -> Any:
        """The connection as new; a new one where the last statement left it unusable."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.execute("ROLLBACK")
                await self._connection.execute("DISCARD ALL")
            except (asyncpg.PostgresError, asyncpg.InterfaceError):
                await self.close()
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(**self._arguments())
        return self._connection

    def _arguments(self) -> dict[str, Any]:
        arguments = dsn.arguments(self._uri.reveal())
        limits = {"statement_timeout": str(_TIME_LIMIT_MS), "lock_timeout": str(_TIME_LIMIT_MS)}
        settings = arguments.get("server_settings", {}) | limits
        return arguments | {"server_settings": settings, "statement_cache_size": 0}


async def outcomes(admin: ConnectionUri) -> dict[str, dict[str, str]]:
    """Case id -> role -> outcome, on a database made by our own provider."""
    provider, spec = ServerProvider(admin), fresh_spec()
    try:
        credentials = (await provider.create(spec)).credentials
        writer = await asyncpg.connect(**dsn.arguments(credentials.writer.reveal()))
        await writer.execute(SET_UP)
        await writer.close()
        return await _all(credentials)
    finally:
        await provider.delete(spec, None)


async def _all(credentials: Credentials) -> dict[str, dict[str, str]]:
    roles = {"writer": _Role(credentials.writer), "reader": _Role(credentials.reader)}
    found: dict[str, dict[str, str]] = {}
    for case in cases():
        sql = case["sql"]
        found[case["id"]] = {
            name: OTHER if "\0" in sql else await role.outcome(sql) for name, role in roles.items()
        }
    for role in roles.values():
        await role.close()
    return found


def table(found: dict[str, dict[str, str]]) -> str:
    """One line a family."""
    families: dict[str, list[str]] = {}
    for case in cases():
        families.setdefault(case["family"], []).append(case["id"])
    families["all"] = [case["id"] for case in cases()]
    return "".join(_line(family, ids, found) for family, ids in families.items())


def _line(family: str, ids: Iterable[str], found: dict[str, dict[str, str]]) -> str:
    listed = list(ids)
    cells = [family, str(len(listed))]
    for role in ("writer", "reader"):
        counts = Counter(found[identity][role] for identity in listed)
        cells += [str(counts[kind]) for kind in (RUNS, RIGHTS, OTHER)]
    return f"| {' | '.join(cells)} |\n"


def with_table(page: str, lines: str) -> str:
    """The page with its generated part replaced."""
    before, mark, rest = page.partition("|---|---:|---:|---:|---:|---:|---:|---:|\n")
    after = "".join(line for line in rest.splitlines(keepends=True) if not line.startswith("|"))
    return f"{before}{mark}{lines}{after}"


def main() -> None:
    with throwaway_server() as server:
        found = asyncio.run(outcomes(server.admin_uri))
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table(found)), encoding="utf-8")
    if "-v" in sys.argv:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
