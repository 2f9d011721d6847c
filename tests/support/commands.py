"""`agentdb` and its answer."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.processes import Forked

Cli = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a host passes on, and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "AGENTDB_HOME": str(home), **more}


def run_agentdb(
    home: Path, *arguments: str, given: bytes = b"", **more: str
) -> subprocess.CompletedProcess[str]:
    """A command, in a process of its own that need not import everything first; `given` is its stdin."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        stdin.write(given)
        stdin.seek(0)
        running = Forked(list(arguments), environment(home, **more), stdin=stdin, stdout=out, stderr=err)
        code = running.wait(120)
        said = [file.seek(0) or file.read().decode() for file in (out, err)]
    return subprocess.CompletedProcess(["agentdb", *arguments], code, *said)


def run_program(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The same, started as in life."""
    return subprocess.run(
        [sys.executable, "-m", "agentdb_mcp", *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
