"""Where a session goes, and what it is told on arrival."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from agentdb_mcp import dsn

SESSION_SETTINGS: Final = {
    "application_name": "agentdb",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    # Every scan begins at the table's beginning: what is read again comes in the same order.
    "synchronize_seqscans": "off",
}
"""Makes a value's text the same whatever the role or database was set to (docs/reference/values.md)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A database and the role to connect as."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | str | bool

    def connect_arguments(self) -> dict[str, Any]:
        """Arguments for asyncpg.connect: complete, so that it has no reason to look into the environment."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
            "ssl": self.tls,
            "direct_tls": False,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
            "server_settings": SESSION_SETTINGS,
            # Session keeps prepared statements itself.
            "statement_cache_size": 0,
        }


def parse_endpoint(uri: str) -> Endpoint:
    """The endpoint a URI names. Raises ValueError, whose text repeats nothing of it."""
    arguments = dsn.arguments(uri)
    user = arguments["user"] or ""
    return Endpoint(
        host=arguments["host"],
        port=arguments["port"],
        database=arguments["database"] or user,
        user=user,
        password=arguments["password"] or "",
        tls=arguments["ssl"],
    )
