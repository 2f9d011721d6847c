"""Where the encryption keys come from: the environment, or a file that we make and rotate ourselves."""

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import KeyText
from agentdb_mcp.store.cipher import KEY_NAME, KeyRing

_DRAFT: Final = ".encryption-key-"


class Keys(Protocol):
    """A source of keys. `begin` and `finish` are called while nobody seals (store/rotation.py)."""

    def exist(self) -> bool:
        """Whether there are any yet."""
        ...

    def ring(self) -> KeyRing:
        """The keys as they are now."""
        ...

    def begin(self) -> bool:
        """Make a new current key, unless an earlier rotation is unfinished; whether one was made."""
        ...

    def finish(self) -> int:
        """Forget the older keys, which nothing is sealed with any more; how many they were."""
        ...


def open_keys(current: KeyText | None, older: Sequence[KeyText], file: Path | None) -> Keys:
    """The operator's keys where there are any, else the file's.

    Raises Misconfigured: `encryption_key_missing` when there is neither, `encryption_key_malformed`.
    """
    if current is not None:
        return GivenKeys(KeyRing(current, older))
    if file is not None:
        return KeyFile(file, older)
    raise Misconfigured(
        "encryption_key_missing",
        f"{KEY_NAME} is not set; connection URIs are kept only sealed.",
        f"Set {KEY_NAME} to 64 hexadecimal digits: `openssl rand -hex 32` makes them. Keep a copy safe.",
    )


class GivenKeys:
    """Keys that the operator sets, and changes by setting others."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def exist(self) -> bool:
        return True

    def ring(self) -> KeyRing:
        return self._ring

    def begin(self) -> bool:
        return False

    def finish(self) -> int:
        return 0


class KeyFile:
    """A file only its owner can read, a key a line: the current one, then older ones. Made when missing.

    It is read anew whenever it changed, so that a rotation reaches processes that run. It changes only
    as a whole: a crash leaves the file from before or the one from after.
    """

    def __init__(self, path: Path, older: Sequence[KeyText] = ()) -> None:
        self._path = path
        self._older = tuple(older)
        self._read: tuple[tuple[int, ...], KeyRing] | None = None

    def exist(self) -> bool:
        return self._path.exists()

    def ring(self) -> KeyRing:
        """Raises Misconfigured when the file is open to others, or holds anything but keys."""
        state = self._state()
        if self._read is None or self._read[0] != state:
            current, *older = map(KeyText, self._lines())
            self._read = (state, KeyRing(current, [*older, *self._older]))
        return self._read[1]

    def begin(self) -> bool:
        self.ring()
        lines = self._lines()
        if len(lines) > 1:
            return False
        self._replace([secrets.token_hex(32), *lines])
        return True

    def finish(self) -> int:
        current, *older = self._lines()
        if older:
            self._replace([current])
        return len(older)

    def _state(self) -> tuple[int, ...]:
        """What differs when the file does; made first if it is not there."""
        try:
            found = self._path.stat(follow_symlinks=False)
        except FileNotFoundError:
            self._create()
            return self._state()
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror})") from None
        if not stat.S_ISREG(found.st_mode):
            raise self._unusable("is not a plain file")
        if found.st_mode & 0o077:
            raise self._unusable("can be read or changed by other users", f"Run: chmod 600 {self._path}")
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _lines(self) -> list[str]:
        try:
            lines = self._path.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            raise self._unusable("cannot be read") from None
        if not lines:
            raise self._unusable("is empty")
        return lines

    def _create(self) -> None:
        """Complete from the first moment it is there; of several processes at once, one makes it."""
        draft = self._draft([secrets.token_hex(32)])
        try:
            os.link(draft, self._path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        self._sync_folder()

    def _replace(self, lines: list[str]) -> None:
        for leftover in self._path.parent.glob(f"{_DRAFT}*"):
            leftover.unlink()  # an earlier rotation was killed: nobody else writes now
        self._draft(lines).replace(self._path)
        self._sync_folder()

    def _draft(self, lines: list[str]) -> Path:
        draft = self._path.with_name(_DRAFT + secrets.token_hex(8))
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._unusable(f"cannot be written ({error.strerror})") from None
        return draft

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unusable(self, why: str, hint: str = "") -> Misconfigured:
        return Misconfigured(
            "encryption_key_malformed",
            f"The key file {self._path} {why}.",
            hint or "Restore it from a backup: what was sealed with a lost key does not open again.",
        )
