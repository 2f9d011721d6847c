"""The embedded server's files.

home/postgres.d/   start.lock  users.lock  server.lock  secrets.json   (0600, this account's)
home/postgres/     data/  postgresql.conf  pg_hba.conf  server.log     (or a link to where it can lie)
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.providers.binaries import machine_folder
from agentdb_mcp.providers.cluster import Passwords
from agentdb_mcp.providers.service_user import ServiceUser


@dataclass(frozen=True, slots=True)
class Secrets:
    """What `secrets.json` holds: the passwords, and the port of the last start, which is tried again."""

    passwords: Passwords
    port: int | None


@dataclass(frozen=True, slots=True)
class Home:
    """Where one embedded server keeps everything."""

    root: Path

    @property
    def files(self) -> Path:
        """The locks and passwords."""
        return self.root / "postgres.d"

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops the server."""
        return self.files / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held, shared, by everybody who uses it."""
        return self.files / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server's own processes."""
        return self.files / "server.lock"

    @property
    def place(self) -> Path:
        """The folder of data, configuration and log."""
        return (self.root / "postgres").resolve()

    def make(self) -> None:
        """The folders that are this account's alone. Existing ones are left as they are."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.files.mkdir(mode=0o700, exist_ok=True)

    def make_place(self, service: ServiceUser) -> Path:
        """`root/postgres`, or where the server's account can reach it when root's home is closed to it."""
        link = self.root / "postgres"
        if link.is_dir():
            return link.resolve()
        if link.is_symlink():
            raise Misconfigured(
                "data_directory_invalid",
                f"{link} points to a folder that is gone.",
                "Remove the link to start afresh.",
            )
        if service.can_pass(self.root):
            link.mkdir()
            link.chmod(0o711 if service.stepped_down else 0o700)  # mkdir's own mode is cut by the umask
            return link.resolve()
        # Never by the home's name alone: a home that was deleted and made again must not find the old data.
        name = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:16]
        place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=machine_folder("clusters")))
        place.chmod(0o711)
        link.symlink_to(place)
        return place

    def read_secrets(self) -> Secrets:
        """Raises Misconfigured("data_directory_invalid") when they are lost: the data is, too, then."""
        path = self.files / "secrets.json"
        try:
            kept = cast("dict[str, object]", json.loads(path.read_text()))
            port = kept["port"]
            return Secrets(
                Passwords(str(kept["admin"]), str(kept["control"])), port if isinstance(port, int) else None
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            raise Misconfigured(
                "data_directory_invalid",
                f"The embedded PostgreSQL's passwords are missing or unreadable in {path}.",
                "Restore the file from a backup; without it the data cannot be opened.",
            ) from None

    def write_secrets(self, secrets: Secrets) -> None:
        """All or nothing, mode 0600."""
        passwords = secrets.passwords
        text = json.dumps({"admin": passwords.admin, "control": passwords.control, "port": secrets.port})
        descriptor, draft = tempfile.mkstemp(dir=self.files)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(self.files / "secrets.json")
