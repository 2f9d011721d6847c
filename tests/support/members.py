"""Processes that share an embedded server, to be asked, killed and told to leave; and homes for them."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from support.postgres import HASTY, run_sql

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
import asyncpg
from agentdb_mcp import dsn
from agentdb_mcp.providers.embedded import EmbeddedPostgres

async def member():
    server = await EmbeddedPostgres.open(Path(sys.argv[1]))
    connection = await asyncpg.connect(**dsn.arguments(server.control_uri.reveal()))
    role = await connection.fetchval("SELECT current_user")
    await connection.close()
    running = EmbeddedPostgres.status(Path(sys.argv[1])).running
    print(json.dumps({"role": role, "pid": running.pid, "port": running.port}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()

asyncio.run(member())
"""


class Member:
    """One process with a share in the server of `home`."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.process.wait()

    def joined(self) -> dict[str, Any]:
        """Wait until it is connected: the server's pid and port, and its role there."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self._complaint()
        return json.loads(line)

    def leave(self) -> None:
        """As a program ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self._complaint()

    def kill(self) -> None:
        """As nothing can be done about."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def _complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()


MEMORY = Path("/dev/shm")
ROOM = 4_000_000_000
"""Bytes that the databases of a run fit in, with as much again to spare."""


def throwaway_place() -> Path:
    """Where data lies that nobody keeps: in memory if there is room, as a CREATE DATABASE writes 300 files."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else Path("/tmp")


@contextmanager
def embedded_home(mode: int = 0o711, place: Path = Path("/tmp")) -> Iterator[Path]:
    """A new folder for a server. Afterwards the server is stopped and everything of it gone."""
    home = Path(tempfile.mkdtemp(prefix="agentdb-home-", dir=place))
    home.chmod(mode)
    try:
        yield home
    finally:
        clear_home(home)


@contextmanager
def throwaway_server(binaries: Binaries | None = None) -> Iterator[EmbeddedPostgres]:
    """A server for tests."""
    with embedded_home(place=throwaway_place()) as home:
        server = asyncio.run(EmbeddedPostgres.open(home, binaries=binaries))
        asyncio.run(run_sql(server.admin_uri, *HASTY))
        yield server


def clear_home(home: Path) -> None:
    """End the server of `home` and remove its data, wherever that lies."""
    status = EmbeddedPostgres.status(home)
    if status is not None and status.running is not None:
        os.kill(status.running.pid, signal.SIGKILL)  # an orderly stop would first write what is thrown away
    EmbeddedPostgres.stop(home)
    place = (home / "postgres").resolve()
    if place != home / "postgres" and place.is_dir():
        shutil.rmtree(place)
    shutil.rmtree(home)
