"""The embedded server's process: is it there, start it, stop it.

A pid file lies (its process may be dead, a zombie, or another program by now). So the server inherits
a descriptor that holds a file lock: the lock is held exactly as long as any of its processes lives,
whoever started it and in whichever container, and the kernel lets go of it even on kill -9.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from agentdb_mcp.core.errors import Misconfigured, Unavailable
from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.cluster import CHILD_ENVIRONMENT, NO_SPACE
from agentdb_mcp.providers.locks import is_held, open_lock, try_exclusive
from agentdb_mcp.providers.service_user import ServiceUser

START_SECONDS = 60.0
"""Crash recovery of a small cluster takes a second or two; a full WAL directory takes longer."""
STOP_SECONDS = 15.0
POLL_SECONDS = 0.005
START_TRIES = 8
LOG_LIMIT_BYTES = 5_000_000
MOST_MEMORY_KB = 2 * 1024 * 1024
"""What each of its processes may have for itself, beside what they share.

The planner hears no cancel while it inlines functions, which can double for each level: a short statement
would take all memory there is. So PostgreSQL runs out of it first, and says so of that statement alone.
"""

PORTS = range(20_000, 30_000)
"""Below what Linux (32768-) and macOS (49152-) hand out for outgoing connections."""

PORT_TAKEN = "could not create any TCP/IP sockets"


@dataclass(frozen=True, slots=True)
class Running:
    """A live server."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The one server that may serve `place/data`. Callers hold the start lock while they change it."""

    place: Path
    lock: Path

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "server.log"

    def running(self) -> Running | None:
        """The server, once it takes connections; None when there is none or it is not ready."""
        return self._ready() if is_held(self.lock) else None

    def start(self, binaries: Binaries, service: ServiceUser, port: int | None) -> Running:
        """Join the server or start it, on `port` if that is free, else on another one."""
        for _ in range(START_TRIES):
            # Another process's server may be coming up, or the last children of a killed one going down.
            self._await(lambda: self._ready() is not None or not is_held(self.lock), START_SECONDS)
            if (running := self.running()) is not None:
                return running
            port = port if port and _is_free(port) else free_port()
            if (written := self._spawn(binaries, service, port)) is None:
                continue
            self._await(lambda: self._ready() is not None or not is_held(self.lock), START_SECONDS)
            if (running := self.running()) is not None:
                return running
            self._judge_failure(written)
        raise Unavailable(
            "database_unavailable", "The embedded PostgreSQL did not start.", f"Its log: {self.log}"
        )

    def stop(self) -> None:
        """Fast shutdown: clients are disconnected, nothing is lost. Returns when every process is gone."""
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not is_held(self.lock):
                return
            self._signal(request)
            with contextlib.suppress(Unavailable):
                self._await(lambda: not is_held(self.lock), STOP_SECONDS)
        if is_held(self.lock):
            raise Unavailable(
                "database_unavailable", "The embedded PostgreSQL did not stop.", f"Its log: {self.log}"
            )

    def _ready(self) -> Running | None:
        pid_file = self._pid_file()
        return pid_file[0] if pid_file is not None and pid_file[1] and _answers(pid_file[0].port) else None

    def _pid_file(self) -> tuple[Running, bool] | None:
        """pid, port and "ready" of postmaster.pid (documented in PostgreSQL's utils/pidfile.h)."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return Running(int(lines[0]), int(lines[3])), len(lines) > 7 and lines[7].strip() == "ready"
        except (OSError, ValueError, IndexError):
            return None

    def _signal(self, request: signal.Signals) -> None:
        pid_file = self._pid_file()
        if pid_file is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid_file[0].pid, request)

    def trim_log(self) -> None:
        """Empty a log that grew. A server that runs appends, and so goes on at its beginning."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT_BYTES:
                os.truncate(self.log, 0)

    def _spawn(self, binaries: Binaries, service: ServiceUser, port: int) -> int | None:
        """How long the log was before, or None when the lock was not to be had: look again."""
        held = open_lock(self.lock)
        try:
            if not try_exclusive(held):
                return None
            # Nothing serves this folder, so whatever the pid file names is not its server.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            with self._open_log() as log:
                written = os.fstat(log).st_size
                _detach(self._command(binaries, port), log, held, self.place, service)
            return written
        finally:
            os.close(held)

    def _command(self, binaries: Binaries, port: int) -> list[str]:
        settings = {
            "config_file": self.place / "postgresql.conf",
            "hba_file": self.place / "pg_hba.conf",
            "port": port,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [binaries.postgres, "-D", str(self.data), *options]

    def _open_log(self) -> contextlib.AbstractContextManager[int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return _closing(os.open(self.log, flags, 0o600))

    def _judge_failure(self, written: int) -> None:
        """Return when trying again makes sense, raise when it does not: by what the log says since."""
        words = self.log.read_bytes()[written:].decode(errors="replace")
        if PORT_TAKEN in words:
            return
        if NO_SPACE in words:
            raise Unavailable(
                "database_unavailable",
                f"{NO_SPACE}: PostgreSQL cannot start in {self.place}.",
                "Free some space.",
            )
        raise Misconfigured(
            "data_directory_invalid",
            f"PostgreSQL does not start on {self.data}.",
            f"Its log says why: {self.log}",
        )

    def _await(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise Unavailable(
                    "database_unavailable",
                    f"The embedded PostgreSQL took longer than {seconds:.0f} s.",
                    f"Its log: {self.log}",
                )
            time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A port nobody listens on just now; the server may still lose the race for it."""
    for _ in range(200):
        port = secrets.choice(PORTS)
        if _is_free(port):
            return port
    raise Unavailable("database_unavailable", f"No free port in {PORTS.start}-{PORTS.stop - 1}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    """Whether something listens: PostgreSQL says nothing in its log about a client that leaves at once."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _closing(descriptor: int) -> Generator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _detach(command: list[str], log: int, held: int, place: Path, service: ServiceUser) -> None:
    """Run `command` as nobody's child in a session of its own, with the descriptor `held` kept open.

    The shell leaves at once, so init adopts the server: no zombie of ours, no signal meant for our group.
    """
    script = f'ulimit -d {MOST_MEMORY_KB} || :; "$@" &'
    subprocess.run(  # noqa: S603 - the arguments are passed as they are, the script is a constant
        ["/bin/sh", "-c", script, "sh", *command],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(held,), start_new_session=True,
        check=True, timeout=30, cwd=place, env=CHILD_ENVIRONMENT, umask=0o077, **service.process_arguments(),
    )  # fmt: skip
