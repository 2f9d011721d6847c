"""Unique secrets are planted, everything is made to go wrong, and everything anybody could see is searched."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from agentdb_mcp import dsn
from agentdb_mcp.app import open_app
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.settings import read_settings
from support.commands import run_agentdb
from support.hosts import Host
from support.members import throwaway_place

OLD_KEY, NEW_KEY = secrets.token_hex(32), secrets.token_hex(32)
LITERAL = f"canary-{uuid.uuid4().hex}"
"""Stands in statements and parameters: the agent sees it again, no log does."""
FOREIGN_PASSWORD = f"canary-{uuid.uuid4().hex}"
KEY = {"NEON_CONNECTION_ENCRYPTION_KEY": OLD_KEY}


class Heard:
    """Everything that was said, by place."""

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = {}
        self._command_lines: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def add(self, place: str, text: str) -> None:
        self.places.setdefault(place, []).append(text)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        """Again and again: a secret that stands on a command line for a moment is seen."""
        while not self._stop.wait(0.02):
            self.look()
        self.add("command lines", "\n".join(self._command_lines))

    def look(self) -> None:
        """The command lines of all processes now."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self._command_lines.add(path.read_text(errors="replace"))
            except OSError:
                continue

    def leaks(self, planted: dict[str, str]) -> list[str]:
        return [
            f"{name} in {place}"
            for place, texts in self.places.items()
            for name, secret in planted.items()
            if any(secret in text for text in texts)
        ]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="agentdb-canary-", dir=throwaway_place()))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def command(
    heard: Heard, home: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = run_agentdb(home, *arguments, **{**KEY, **environment})
    heard.add(f"agentdb {arguments[0]}", done.stdout + done.stderr)
    return done


async def planted(home: Path) -> tuple[dict[str, str], str]:
    """Every secret there is by name, and the control plane as pg_dump would show its rows."""
    async with open_app(read_settings({"AGENTDB_HOME": str(home), **KEY})) as app:
        uris: dict[str, ConnectionUri] = {"control": app.server.control, "admin": app.server.admin}
        for row in await app.lifecycle.databases():
            uris[f"{row.id} writer"], uris[f"{row.id} reader"] = await app.store.open_credentials(row.id)
        dump = await app.store.dump()
    passwords = {name: dsn.arguments(uri.reveal())["password"] for name, uri in uris.items()}
    return {**passwords, "old key": OLD_KEY, "new key": NEW_KEY, "foreign password": FOREIGN_PASSWORD}, dump


def provoke(heard: Heard, host: Host) -> None:
    """Calls that fail in every room: arguments, guard, SQL, values, deadlines, a connection that dies."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("query", {"sql": "SELECT * FROM nowhere"}),
        ("query", {"sql": "SELEC 1"}),
        ("query", {"sql": "SELECT $1::int", "params": ["x"]}),
        ("query", {"sql": "SELECT 1", "unknown": FOREIGN_PASSWORD[:4]}),
        ("query", {"sql": "SELECT pg_read_file('postgresql.conf')"}),
        ("query", {"sql": "SELECT rolname, rolpassword FROM pg_authid"}),
        ("query", {"sql": "SELECT current_user, current_database(), inet_server_addr()"}),
        ("query", {"sql": "SELECT current_user, current_database()"}),
        ("query", {"sql": "SELECT * FROM pg_settings"}),
        ("query", {"sql": "SELECT setting FROM pg_catalog.pg_settings"}),
        ("query", {"sql": "SELECT repeat('x', 3000000)"}),
        ("query", {"sql": "SELECT 1" + " " * 5_000_000}),
        ("query", {"sql": "SELECT '\0'"}),
        ("query", {"sql": "SELECT 1/0"}),
        ("query", {"sql": f"SELECT 1/0 AS a, '{LITERAL}' AS b"}),
        ("query", {"sql": "SELECT $1::int", "params": [LITERAL]}),
        ("execute", {"sql": f"DO $$ BEGIN RAISE LOG '{LITERAL}'; RAISE WARNING '{LITERAL}'; END $$"}),
        ("execute_ddl", {"sql": "CREATE TABLE t (a int PRIMARY KEY)"}),
        ("execute_ddl", {"sql": "CREATE TABLE t (a int)"}),
        ("execute", {"sql": "INSERT INTO t VALUES (1), (1)"}),
        ("execute_ddl", {"sql": "ALTER ROLE current_user PASSWORD 'x'"}),
        ("describe_table", {"table": "nowhere"}),
        ("list_tables", {}),
        ("database_info", {}),
        ("no_such_tool", {}),
    ]
    for tool, arguments in calls:
        heard.add("answers", json.dumps(host.request("tools/call", {"name": tool, "arguments": arguments})))


def kill_postgres(home: Path) -> None:
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)


def test_no_secret_is_seen_anywhere_whatever_goes_wrong(home: Path) -> None:
    with Heard() as heard:
        command(heard, home, "user", "create", "ada")
        command(heard, home, "workspace", "create", "research", "--user", "ada")
        with Host(home, "--workspace", "research", **KEY, AGENTDB_LOG_LEVEL="debug") as host:
            secret, dump = asyncio.run(planted(home))
            provoke(heard, host)
            kill_postgres(home)
            heard.add("answers", json.dumps(host.call("query", sql="SELECT 1")))
            after = host.call("query", sql="SELECT 1")
            heard.add("answers", json.dumps(after))
            assert not after["isError"], after
        heard.add("the server's log", host.stderr)
        heard.add("the control plane", dump)
        foreign = f"postgresql://agent:{FOREIGN_PASSWORD}@127.0.0.1:9/none"
        command(heard, home, "database", "list", AGENTDB_CONTROL_URL=foreign)
        command(heard, home, "database", "list", AGENTDB_CONTROL_URL=f"{foreign}?sslmode=nonsense")
        command(heard, home, "database", "list", AGENTDB_CONTROL_URL=f"nonsense:{FOREIGN_PASSWORD}")
        command(heard, home, "database", "list", NEON_CONNECTION_ENCRYPTION_KEY=OLD_KEY[:-1])
        rotated = {"NEON_CONNECTION_ENCRYPTION_KEY": NEW_KEY, "AGENTDB_OLD_ENCRYPTION_KEYS": OLD_KEY}
        assert command(heard, home, "keys", "rotate", **rotated).returncode == 0
        command(heard, home, "keys", "rotate")  # the old key alone no longer opens anything
        command(heard, home, "user", "delete", "ada", **rotated)
        heard.add("postgres' log", (home / "postgres" / "server.log").read_text(errors="replace"))
    assert len(secret) > 8
    assert not [place for place in heard.leaks({"literal": LITERAL}) if place.endswith("log")]
    assert heard.leaks(secret) == []
    assert not [text for texts in heard.places.values() for text in texts if "Traceback" in text]


def test_the_search_finds_what_is_there() -> None:
    with Heard() as heard:
        heard.add("somewhere", f"x{FOREIGN_PASSWORD}y")
        waiting = [sys.executable, "-c", "input()", OLD_KEY]
        with subprocess.Popen(waiting, stdin=subprocess.PIPE) as child:
            heard.look()
            child.communicate(b"\n", timeout=30)
    assert heard.leaks({"password": FOREIGN_PASSWORD, "key": OLD_KEY}) == [
        "password in somewhere",
        "key in command lines",
    ]
