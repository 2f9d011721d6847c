"""A connection URI as asyncpg's keyword arguments.

asyncpg itself passes query parameters it does not know on to the server, which then refuses the connection
(Neon's URIs carry `channel_binding`), and its parse errors can repeat a piece of the password.
"""

import ipaddress
import ssl
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NEON: Final = ".neon.tech"
"""Neon's URIs of before 2025 say nothing of TLS, and Neon refuses connections without it."""

_NEEDED_PARTS: Final = "It takes the form postgresql://user:password@host:port/database"


def moved(uri: str, address: tuple[str, int] | None) -> str:
    """The same URI at another host and port, where one is given."""
    if address is None:
        return uri
    parts = urlsplit(uri)
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}:{address[1]}"))


def arguments(uri: str) -> dict[str, Any]:
    """What to call `asyncpg.connect` and `create_pool` with.

    `sslmode=require` to another machine verifies the server as `verify-full` does: Neon's certificates
    pass, and encryption to an unknown party protects nobody. `sslrootcert` names a file of authorities
    to trust instead of the system's.

    Raises ValueError, whose text repeats nothing of the URI.
    """
    try:
        parts = urlsplit(uri)
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        user, password, host, port = _authority(parts.netloc)
    except ValueError:
        raise ValueError(f"The connection URI cannot be read. {_NEEDED_PARTS}.") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(f"The connection URI does not begin with postgresql://. {_NEEDED_PARTS}.")
    if parts.fragment:
        raise ValueError("The connection URI holds a bare '#'. In a password it is written %23.")
    host = query.get("host") or host or "localhost"
    settings = {"application_name": query["application_name"]} if "application_name" in query else {}
    return {
        "host": host,
        "port": port,
        "user": user,
        "password": password,
        "database": unquote(parts.path.lstrip("/")) or None,
        "ssl": _tls(query.get("sslmode", _default_mode(host)), host, query.get("sslrootcert")),
        "server_settings": settings,
    }


def _authority(netloc: str) -> tuple[str | None, str | None, str, int]:
    """User, password, host, port. urlsplit's own attribute lower-cases the host, which may be a directory."""
    credentials, _, address = netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    host, _, port = address.rpartition(":") if address.rpartition("]")[2].count(":") else (address, "", "")
    if "," in address:
        raise ValueError("several hosts")
    return unquote(user) or None, unquote(password) or None, unquote(host.strip("[]")), int(port or 5432)


def _default_mode(host: str) -> str:
    return "require" if host.lower().endswith(_NEON) else "prefer"


def _tls(mode: str, host: str, authorities: str | None) -> ssl.SSLContext | str | bool:
    if mode not in SSL_MODES:
        raise ValueError(f"The connection URI's sslmode is none of {', '.join(SSL_MODES)}.")
    if mode == "disable" or host.startswith("/"):
        return False
    if mode in ("allow", "prefer") or (mode == "require" and _is_this_machine(host)):
        return mode
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError:
        raise ValueError("The file that the connection URI's sslrootcert names cannot be read.") from None
    context.check_hostname = mode != "verify-ca"
    return context


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
