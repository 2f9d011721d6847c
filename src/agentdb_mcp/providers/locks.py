"""File locks between processes. The kernel lets go of them when their holder dies, however it dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path

from agentdb_mcp.core.errors import Unavailable

PATIENCE_SECONDS = 60.0
"""How long one process waits for another that is starting or stopping the same server."""

POLL_SECONDS = 0.01


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, made if need be. Nothing is locked yet."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_exclusive(descriptor: int) -> bool:
    """Take the lock if nobody has it. An existing shared lock of this descriptor is given up either way."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(path: Path) -> int:
    """A descriptor that holds a shared lock until it is closed."""
    descriptor = open_lock(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_held(path: Path) -> bool:
    """Whether any process holds the lock alone."""
    descriptor = open_lock(path)
    try:
        # Shared, so that two who ask at once do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusively(path: Path) -> Generator[None]:
    """Alone with what `path` guards. Raises Unavailable when its holder does not finish in a minute."""
    descriptor = open_lock(path)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not try_exclusive(descriptor):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "database_unavailable",
                    "Another process has been starting or stopping the embedded PostgreSQL for a minute.",
                    f"Find it with: fuser {path}",
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
