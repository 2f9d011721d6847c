"""A connection URI is read once, leniently in what it may carry and silently about what it holds."""

import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.dsn import arguments


def without_tls(uri: str) -> dict[str, Any]:
    return {key: value for key, value in arguments(uri).items() if key != "ssl"}


def test_a_neon_uri_is_read_and_what_asyncpg_cannot_take_is_dropped() -> None:
    assert without_tls(
        "postgresql://neondb_owner:s%40crét@ep-cold-bonus.eu-central-1.aws.neon.tech/neondb"
        "?sslmode=require&channel_binding=require&connect_timeout=15&options=endpoint%3Dep-cold"
    ) == {
        "host": "ep-cold-bonus.eu-central-1.aws.neon.tech",
        "port": 5432,
        "user": "neondb_owner",
        "password": "s@crét",
        "database": "neondb",
        "server_settings": {},
    }


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgres://h", ("h", 5432, None, None, None)),
        ("postgresql:///d", ("localhost", 5432, None, None, "d")),
        ("postgresql://u@h:6/d", ("h", 6, "u", None, "d")),
        ("postgresql://u:p@[::1]/d", ("::1", 5432, "u", "p", "d")),
        ("postgresql://u:p@[::1]:7/d", ("::1", 7, "u", "p", "d")),
        ("postgresql://u:a@b:c@h/d", ("h", 5432, "u", "a@b:c", "d")),
        ("postgresql://u%3A:p%2F%23%3F@h/d%20e", ("h", 5432, "u:", "p/#?", "d e")),
        ("postgresql://u@%2Fvar%2Frun%2FPg/d", ("/var/run/Pg", 5432, "u", None, "d")),
        ("postgresql://u@/d?host=/var/run/Pg", ("/var/run/Pg", 5432, "u", None, "d")),
    ],
)
def test_every_part_is_read(uri: str, expected: tuple[object, ...]) -> None:
    found = arguments(uri)
    assert tuple(found[part] for part in ("host", "port", "user", "password", "database")) == expected


def test_a_name_for_the_servers_log_is_kept() -> None:
    assert arguments("postgresql://h/d?application_name=host+app")["server_settings"] == {
        "application_name": "host app"
    }


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_a_socket_of_this_machine_carries_no_tls(mode: str) -> None:
    assert arguments(f"postgresql://u@/d?host=/run/pg&sslmode={mode}")["ssl"] is False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"])
def test_tls_to_this_machine_is_not_verified_unless_asked_for(host: str) -> None:
    uri = f"postgresql://u@{host}/d"
    assert arguments(uri)["ssl"] == "prefer"
    assert arguments(uri + "?sslmode=require")["ssl"] == "require"
    assert isinstance(arguments(uri + "?sslmode=verify-full")["ssl"], ssl.SSLContext)


@pytest.mark.parametrize(("mode", "names"), [("require", True), ("verify-full", True), ("verify-ca", False)])
def test_tls_to_another_machine_is_verified(mode: str, names: bool) -> None:
    context = arguments(f"postgresql://u@db.example/d?sslmode={mode}")["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is names


def test_neon_is_verified_also_where_its_uri_says_nothing_of_tls() -> None:
    context = arguments("postgresql://u@ep-cold-1.eu-central-1.aws.NEON.tech/d")["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert arguments("postgresql://u@notneon.tech/d")["ssl"] == "prefer"


@pytest.mark.parametrize(("mode", "tls"), [("disable", False), ("allow", "allow"), ("prefer", "prefer")])
def test_less_than_required_tls_is_what_it_says(mode: str, tls: object) -> None:
    assert arguments(f"postgresql://u@db.example/d?sslmode={mode}")["ssl"] == tls


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2@h:99999999999999999999x/d",
        "postgresql://u:hunter2@[::1/d",
        "postgresql://u:hunter2@a,b/d",
        "postgresql://u:hunter2#x@h/d",
        "postgresql://u:hunter2@h/d?sslmode=hunter2",
        "postgresql://u:hunter2@h/d?hunter2",
        "postgresql://u:hunter2@h/d?sslmode=require&sslrootcert=/nonexistent/hunter2",
    ],
)
def test_a_malformed_uri_is_refused_without_being_repeated(uri: str) -> None:
    with pytest.raises(ValueError) as caught:
        arguments(uri)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text())
def test_no_text_fails_in_another_way(text: str) -> None:
    for uri in (text, "postgresql://" + text):
        try:
            found = arguments(uri)
        except ValueError as error:
            found = str(error)
        assert "host" in found or "connection URI" in found
