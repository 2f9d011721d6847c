"""A PostgreSQL server of our own, started on demand and shared by every process that uses one home folder.

    home/postgres.d/   start.lock  users.lock  server.lock  secrets.json   (0600, this account's)
    home/postgres/     data/  postgresql.conf  pg_hba.conf  server.log     (or a link to where it can lie)

Whoever opens holds `users.lock` shared; the last one to leave stops the server. `server.lock` is the
server's own, see postmaster.py.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.binaries import Binaries, find_binaries, machine_folder
from agentdb_mcp.providers.cluster import (
    ADMIN,
    CONTROL,
    Passwords,
    check_data,
    create_cluster,
    write_configuration,
)
from agentdb_mcp.providers.locks import exclusively, share, try_exclusive
from agentdb_mcp.providers.postmaster import Postmaster, Running
from agentdb_mcp.providers.scram import new_password
from agentdb_mcp.providers.service_user import ServiceUser


@dataclass(frozen=True, slots=True)
class Status:
    """What an operator asks about: where the data is, and the server if it runs."""

    data: Path
    log: Path
    running: Running | None


class EmbeddedPostgres:
    """One process's share in the server of a home folder. Make it with `open`, end it with `close`."""

    def __init__(self, home: Path, binaries: Binaries | None = None) -> None:
        self._home = home
        self._files = home / "postgres.d"
        self._wanted_binaries = binaries
        self._membership: int | None = None
        self._passwords: Passwords
        self._port: int

    @classmethod
    async def open(cls, home: Path, *, binaries: Binaries | None = None) -> Self:
        """Initialise, start or join the server of `home`; a dead one is brought back.

        Raises Misconfigured (`postgres_binaries_missing`, `data_directory_invalid`) or
        Unavailable (`database_unavailable`).
        """
        server = cls(home, binaries)
        entering = asyncio.ensure_future(asyncio.to_thread(server._enter))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # The thread cannot be stopped half way: let it finish, then undo it.
            await asyncio.wait([entering])
            if entering.exception() is None:
                await asyncio.to_thread(server._leave)
            raise
        return server

    @property
    def admin_uri(self) -> ConnectionUri:
        """The superuser, in the database `postgres`. For provisioning only."""
        return self._uri(ADMIN, self._passwords.admin, "postgres")

    @property
    def control_uri(self) -> ConnectionUri:
        """The owner of the control plane's database, without any other right."""
        return self._uri(CONTROL, self._passwords.control, CONTROL)

    async def ensure(self) -> None:
        """Bring the server back if it died. Cheap when it did not."""
        await asyncio.to_thread(self._ensure)

    async def close(self) -> None:
        """Leave. The last process out stops the server."""
        await asyncio.shield(asyncio.to_thread(self._leave))

    @classmethod
    def status(cls, home: Path) -> Status | None:
        """What is there, without changing it; None when `home` holds no embedded server."""
        postmaster = cls(home).postmaster()
        if not postmaster.data.exists():
            return None
        return Status(postmaster.data.resolve(), postmaster.log, postmaster.running())

    @classmethod
    def stop(cls, home: Path) -> None:
        """Stop the server whoever uses it; their next `ensure` starts it again."""
        server = cls(home)
        if server._files.is_dir():
            with server._translated(), exclusively(server._files / "start.lock"):
                server.postmaster().stop()

    def _uri(self, role: str, password: str, database: str) -> ConnectionUri:
        return ConnectionUri(
            f"postgresql://{role}:{password}@127.0.0.1:{self._port}/{database}?sslmode=disable"
        )

    def postmaster(self) -> Postmaster:
        """The server's process."""
        return Postmaster((self._home / "postgres").resolve(), self._files / "server.lock")

    def _enter(self) -> None:
        with self._translated():
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._files.mkdir(mode=0o700, exist_ok=True)
            with exclusively(self._files / "start.lock"):
                self._membership = share(self._files / "users.lock")
                try:
                    self._start()
                except BaseException:
                    os.close(self._membership)
                    raise

    def _ensure(self) -> None:
        with self._translated(), exclusively(self._files / "start.lock"):
            self._start()

    def _leave(self) -> None:
        if self._membership is None:
            return
        membership, self._membership = self._membership, None
        with self._translated(), exclusively(self._files / "start.lock"):
            try:
                if try_exclusive(membership):
                    self.postmaster().stop()
            finally:
                os.close(membership)

    def _start(self) -> None:
        """With the start lock held: the server runs afterwards, and we know its port and passwords."""
        major = check_data(self._home / "postgres" / "data")
        postmaster = self.postmaster()
        running = postmaster.running() if major is not None else None
        if running is None:
            running = self._revive(major)
        self._passwords, kept_port = self._read_secrets()
        self._port = running.port
        if kept_port != running.port:
            self._write_secrets(self._passwords, running.port)

    def _revive(self, major: int | None) -> Running:
        if major is None:
            self._create()
        data = self._home / "postgres" / "data"
        service = ServiceUser.owning(data)
        binaries = self._wanted_binaries or find_binaries(service, check_data(data))
        postmaster = self.postmaster()
        _, port = self._read_secrets()
        write_configuration(postmaster.place, binaries.major)
        return postmaster.start(binaries, service, port)

    def _create(self) -> None:
        service = ServiceUser.choose()
        binaries = self._wanted_binaries or find_binaries(service)
        place = self._choose_place(service)
        passwords = Passwords(new_password(), new_password())
        self._write_secrets(passwords, None)
        create_cluster(place, binaries, service, passwords)

    def _choose_place(self, service: ServiceUser) -> Path:
        """`home/postgres`, or where the server's account can reach it when root's home is closed to it."""
        link = self._home / "postgres"
        if link.is_dir():
            return link.resolve()
        if link.is_symlink():
            raise Misconfigured(
                "data_directory_invalid",
                f"{link} points to a folder that is gone.",
                "Remove the link to start afresh.",
            )
        if service.can_pass(self._home):
            link.mkdir(mode=0o711)
            return link.resolve()
        # Never by the home's name alone: a home that was deleted and made again must not find the old data.
        name = hashlib.sha256(str(self._home.resolve()).encode()).hexdigest()[:16]
        place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=machine_folder("clusters")))
        place.chmod(0o711)
        link.symlink_to(place)
        return place

    def _read_secrets(self) -> tuple[Passwords, int | None]:
        path = self._files / "secrets.json"
        try:
            kept = cast("dict[str, object]", json.loads(path.read_text()))
            port = kept["port"]
            return Passwords(str(kept["admin"]), str(kept["control"])), port if isinstance(
                port, int
            ) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            raise Misconfigured(
                "data_directory_invalid",
                f"The embedded PostgreSQL's passwords are missing or unreadable in {path}.",
                "Restore the file from a backup; without it the data cannot be opened.",
            ) from None

    def _write_secrets(self, passwords: Passwords, port: int | None) -> None:
        text = json.dumps({"admin": passwords.admin, "control": passwords.control, "port": port})
        descriptor, draft = tempfile.mkstemp(dir=self._files)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(self._files / "secrets.json")

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        """The file system's own complaints (no space, no permission, read-only), said as ours."""
        try:
            yield
        except OSError as error:
            raise Misconfigured(
                "data_directory_invalid",
                f"The embedded PostgreSQL cannot use {error.filename or self._home}: {error.strerror}.",
                "AGENTDB_HOME must be a local folder of yours with free space.",
            ) from None
