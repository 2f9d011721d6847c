"""The hardened database that tenants' databases are copied from."""

import contextlib
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from typing import Final, LiteralString, cast

from agentdb_mcp.core.identifiers import quote_identifier
from agentdb_mcp.providers.rights import Rights
from agentdb_mcp.providers.sessions import Session, run

EXTENSIONS: Final = (
    "vector", "pg_trgm", "citext", "hstore", "unaccent", "btree_gin", "btree_gist", "fuzzystrmatch", "ltree",
    "pgcrypto", "uuid-ossp",
)  # fmt: skip
"""Installed when the server has them. None of them reaches files, the network or other databases."""

Connect = Callable[[str], contextlib.AbstractAsyncContextManager[Session]]
"""Opens a session in the named database."""


def hardening_script() -> LiteralString:
    """hardening.sql: ours, so as good as a literal."""
    return cast("LiteralString", files(__package__ or "").joinpath("hardening.sql").read_text("utf-8"))


async def ensure_template(session: Session, connect: Connect, rights: Rights) -> str:
    """The template's name; made when this build or server version has none. Callers come one at a time."""
    name = _name(rights.major)
    if await session.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
        return name
    draft, final = quote_identifier(f"{name}_draft"), quote_identifier(name)
    await session.execute(f"DROP DATABASE IF EXISTS {draft} WITH (FORCE)")
    # From template0: what somebody left in template1 would be in every copy.
    await session.execute(f"CREATE DATABASE {draft} TEMPLATE template0 ENCODING 'UTF8'")
    await session.execute(f"REVOKE ALL ON DATABASE {draft} FROM PUBLIC")
    async with connect(f"{name}_draft") as inside:
        await harden(inside)
    await session.execute(f"ALTER DATABASE {draft} ALLOW_CONNECTIONS false")
    await session.execute(f"ALTER DATABASE {draft} RENAME TO {final}")
    return name


async def harden(session: Session) -> None:
    """Everything a superuser can close within a database; again changes nothing."""
    await session.execute(hardening_script())
    await install_extensions(session, trusted_only=False)


async def install_extensions(session: Session, *, trusted_only: bool) -> None:
    """Those of our list that the server has and this role may install, in the schema `extensions`."""
    await run(
        session,
        ("CREATE SCHEMA IF NOT EXISTS extensions", "GRANT USAGE ON SCHEMA extensions TO PUBLIC"),
    )
    rows = await session.fetch(
        "SELECT e.name FROM pg_available_extensions e"
        " JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version"
        " WHERE e.name = ANY($1) AND e.installed_version IS NULL AND (v.trusted OR NOT $2)",
        list(EXTENSIONS),
        trusted_only,
    )
    await run(
        session,
        [f"CREATE EXTENSION IF NOT EXISTS {quote_identifier(row['name'])} SCHEMA extensions" for row in rows],
    )


def _name(major: int) -> str:
    """New for every change of what is hardened, and after a server upgrade, which brings new functions."""
    what = f"{major}\n{EXTENSIONS}\n{hardening_script()}"
    return f"t_{sha256(what.encode()).hexdigest()[:32]}"
