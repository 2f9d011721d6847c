"""`agentdb` as a process of its own, forked from one that has imported what its commands need.

To import the SDK takes a second of work, most of what a start costs. From `main` on it is as in life: arguments,
descriptors, environment, signals, end. `python -m agentdb_mcp` itself is started by `run_program`, and wherever
`hosts.command` is used.
"""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import BinaryIO

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    [
        "__main__",
        "agentdb_mcp.cli",
        "agentdb_mcp.app",
        "agentdb_mcp.engine",
        "agentdb_mcp.entrypoints.mcp.dispatch",
        "agentdb_mcp.entrypoints.mcp.stdio",
        "agentdb_mcp.providers.embedded",
        "agentdb_mcp.providers.neon",
        "agentdb_mcp.providers.server",
        "agentdb_mcp.services.lifecycle",
        "agentdb_mcp.services.sweeper",
        "agentdb_mcp.services.tokens",
        "anyio._backends._asyncio",
        "sqlglot.dialects.postgres",
    ]
)


class Forked:
    """What tests need of `subprocess.Popen`; without files for them, stdin and stdout are pipes."""

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        *,
        stdin: BinaryIO | None = None,
        stdout: BinaryIO | None = None,
        stderr: BinaryIO,
    ) -> None:
        self.stdin, self.stdout = None, None
        theirs = [os.dup(file.fileno()) if file else -1 for file in (stdin, stdout, stderr)]
        if stdin is None:
            theirs[0], ours = os.pipe()
            self.stdin = os.fdopen(ours, "wb", 0)
        if stdout is None:
            ours, theirs[1] = os.pipe()
            self.stdout = os.fdopen(ours, "rb", 0)
        ends = [Connection(each) for each in theirs]  # the wrapper that is passed on to processes
        self._process = _forking.Process(target=_become, args=(arguments, environment, ends), daemon=True)
        self._process.start()
        for each in ends:
            each.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; the negative number of the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("agentdb", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _become(arguments: list[str], environment: dict[str, str], ends: list[Connection]) -> None:
    from agentdb_mcp.cli import main

    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["agentdb", *arguments]
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    main()
