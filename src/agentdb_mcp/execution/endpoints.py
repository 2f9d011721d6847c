"""Where a connection goes: a PostgreSQL URI read once, so that nothing in it reaches the driver by accident.

asyncpg hands unknown query parameters on as server settings, so that the `channel_binding=require` of a Neon
URI makes every connection fail, and it fills gaps from PG* variables and ~/.pgpass. Here what we know passes.
"""

import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

TlsMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

SESSION_SETTINGS: Final = {
    "application_name": "agentdb",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
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
    tls: TlsMode
    root_certificate: str | None
    """File of the certificate authority to trust; None: the system's."""

    def connect_arguments(self) -> dict[str, Any]:
        """Arguments for asyncpg.connect: complete, so that it has no reason to look into the environment."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
            "ssl": self._tls(),
            "direct_tls": False,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
            "server_settings": SESSION_SETTINGS,
            # Session keeps prepared statements itself.
            "statement_cache_size": 0,
        }

    def _tls(self) -> bool | str | ssl.SSLContext:
        if self.tls == "disable":
            return False
        if self.tls in {"allow", "prefer"}:
            return self.tls
        context = ssl.create_default_context(cafile=self.root_certificate)
        if self.tls == "verify-ca":
            context.check_hostname = False
        if self.tls == "require" and is_local(self.host):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def is_local(host: str) -> bool:
    """Whether the way there leaves this machine."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(uri: str) -> Endpoint:
    """Reads a URI. Raises ValueError, whose text may quote the URI: never let it out.

    `sslmode=require` means verify-full for a host on the network: encrypting to whoever answers is no shield.
    Without a mode, a host on the network is asked for TLS (`prefer`, as libpq does) and a local one is not.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("not a PostgreSQL URI")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = options.get("host") or parts.hostname or "localhost"
    root = options.get("sslrootcert")
    return Endpoint(
        host=host,
        port=int(options.get("port") or parts.port or 5432),
        database=_database(parts),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=_tls_mode(options.get("sslmode"), host),
        root_certificate=None if root == "system" else root,
    )


def _database(parts: SplitResult) -> str:
    return unquote(parts.path.removeprefix("/")) or unquote(parts.username or "")


def _tls_mode(wanted: str | None, host: str) -> TlsMode:
    match wanted:
        case None | "":
            return "disable" if is_local(host) else "prefer"
        case "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full":
            return wanted
        case _:
            raise ValueError("unknown sslmode")
