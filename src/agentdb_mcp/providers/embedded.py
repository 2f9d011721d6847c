"""A PostgreSQL server of our own, started on demand and shared by every process that uses one home folder.

Whoever opens it holds a shared file lock; the last one to leave stops the server. It runs detached, so it
survives its starter; a server that died is brought back by whoever comes next.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.binaries import Binaries, find_binaries
from agentdb_mcp.providers.cluster import (
    ADMIN,
    CONTROL,
    Passwords,
    check_data,
    create_cluster,
    write_configuration,
)
from agentdb_mcp.providers.home import Home, Secrets
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
    """One process's share in the server of a home folder. Made by `open`, ended by `close`."""

    def __init__(self, home: Path, binaries: Binaries | None) -> None:
        self._home = Home(home)
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
            if not entering.cancelled() and entering.exception() is None:
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

    @property
    def control_admin_uri(self) -> ConnectionUri:
        """The superuser, in the control plane's database. For what its owner must not be able to do."""
        return self._uri(ADMIN, self._passwords.admin, CONTROL)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as they were when this process last looked."""
        return "127.0.0.1", self._port

    async def ensure(self) -> None:
        """Bring the server back if it died. Cheap when it did not.

        It returns to its port, so that known URIs stay good, unless another program took that meanwhile.
        """
        await asyncio.to_thread(self._ensure)

    async def close(self) -> None:
        """Leave. The last process out stops the server."""
        await asyncio.shield(asyncio.to_thread(self._leave))

    @staticmethod
    def status(home: Path) -> Status | None:
        """What is there, without changing it; None when `home` holds no embedded server."""
        postmaster = _postmaster(Home(home))
        if not postmaster.data.exists():
            return None
        return Status(postmaster.data, postmaster.log, postmaster.running())

    @staticmethod
    def stop(home: Path) -> None:
        """Stop the server whoever uses it; their next `ensure` starts it again."""
        files = Home(home)
        if files.files.is_dir():
            with _translated(files), exclusively(files.start_lock):
                _postmaster(files).stop()

    def _uri(self, role: str, password: str, database: str) -> ConnectionUri:
        return ConnectionUri(
            f"postgresql://{role}:{password}@127.0.0.1:{self._port}/{database}?sslmode=disable"
        )

    def _enter(self) -> None:
        with _translated(self._home):
            self._home.make()
            with exclusively(self._home.start_lock):
                membership = share(self._home.users_lock)
                try:
                    self._start()
                except BaseException:
                    os.close(membership)
                    raise
                self._membership = membership

    def _ensure(self) -> None:
        with _translated(self._home), exclusively(self._home.start_lock):
            self._start()

    def _leave(self) -> None:
        if self._membership is None:
            return
        membership, self._membership = self._membership, None
        try:
            with _translated(self._home), exclusively(self._home.start_lock):
                if try_exclusive(membership):
                    _postmaster(self._home).stop()
        finally:
            os.close(membership)

    def _start(self) -> None:
        """With the start lock held: the server runs afterwards, and we know its port and passwords."""
        data = self._home.place / "data"
        major = check_data(data)
        if major is None:
            self._create()
        secrets = self._home.read_secrets()
        postmaster = _postmaster(self._home)
        postmaster.trim_log()
        running = postmaster.running() or self._revive(data, secrets.port)
        if running.port != secrets.port:
            self._home.write_secrets(Secrets(secrets.passwords, running.port))
        self._passwords, self._port = secrets.passwords, running.port

    def _create(self) -> None:
        service = ServiceUser.choose()
        binaries = self._wanted_binaries or find_binaries(service)
        place = self._home.make_place(service)
        passwords = Passwords(new_password(), new_password())
        # Before the data, which appears under its name last: data without passwords would be lost.
        self._home.write_secrets(Secrets(passwords, None))
        create_cluster(place, binaries, service, passwords)

    def _revive(self, data: Path, port: int | None) -> Running:
        service = ServiceUser.owning(data)
        binaries = self._wanted_binaries or find_binaries(service, check_data(data))
        postmaster = _postmaster(self._home)
        write_configuration(postmaster.place, binaries.major)
        return postmaster.start(binaries, service, port)


def _postmaster(home: Home) -> Postmaster:
    return Postmaster(home.place, home.server_lock)


@contextlib.contextmanager
def _translated(home: Home) -> Generator[None]:
    """The system's own complaints (no space, no permission, read-only), said as ours."""
    try:
        yield
    except OSError as error:
        raise Misconfigured(
            "data_directory_invalid",
            f"The embedded PostgreSQL cannot use {error.filename or home.root}: {error.strerror}.",
            "AGENTDB_HOME must be a local folder of yours with free space.",
        ) from None
    except subprocess.SubprocessError:
        raise Misconfigured(
            "data_directory_invalid", f"PostgreSQL's programs did not finish in {home.place}."
        ) from None
