"""What of a project exists on this machine: its databases, and a port for each of its endpoints."""

import asyncio
import ssl

from agentdb_mcp.fake_neon.account import Account, why_not
from agentdb_mcp.fake_neon.faults import Faults
from agentdb_mcp.fake_neon.front import Front, Refusal, Words
from agentdb_mcp.fake_neon.metering import tick_before
from agentdb_mcp.fake_neon.postgres import FakePostgres
from agentdb_mcp.fake_neon.states import RECOVERABLE, Endpoint, Project


class Stage:
    """Keeps what is real in step with what the account says."""

    def __init__(self, account: Account, postgres: FakePostgres, tls: ssl.SSLContext, faults: Faults) -> None:
        self._account = account
        self._faults = faults
        self.postgres = postgres
        self._tls = tls
        self._fronts: dict[str, Front] = {}
        self._ending: set[asyncio.Task[None]] = set()
        account.suspended = self._suspended

    async def measure(self, project: Project) -> None:
        """See how much is stored: once a tick, when somebody asks."""
        now = self._account.clock()
        if project.sized_at is None or project.sized_at < tick_before(now):
            project.storage_bytes, project.sized_at = await self.postgres.size(project), now

    async def open_endpoint(self, project: Project, endpoint: Endpoint) -> None:
        """Give the endpoint its port."""

        def admit(words: Words) -> Words | Refusal:
            return self._admit(project, endpoint, words)

        def count(change: int) -> None:
            endpoint.connections += change
            endpoint.last_active = self._account.clock()

        front = Front(self._tls, self.postgres.address, admit, count, self._faults.carries)
        self._fronts[endpoint.id] = front
        endpoint.host = f"127.0.0.1:{await front.open()}"

    async def close_endpoint(self, endpoint: Endpoint) -> None:
        """Take its port away; sessions end."""
        if front := self._fronts.pop(endpoint.id, None):
            await front.close()
            await self.postgres.end_sessions(list(front.backend_ports))

    async def close_project(self, project: Project) -> None:
        """The project was deleted: its endpoints only refuse."""
        await self.settled()
        await self.postgres.hide(project)

    async def reopen_project(self, project: Project) -> None:
        """The project was recovered."""
        await self.postgres.show(project)

    async def drop_project(self, project: Project) -> None:
        """The project is beyond recovery."""
        for endpoint in project.endpoints.values():
            await self.close_endpoint(endpoint)
        await self.postgres.drop(project)

    async def sweep(self) -> None:
        """Drop what has been deleted for longer than it can be recovered."""
        oldest = self._account.clock() - RECOVERABLE
        for project in list(self._account.projects.values()):
            if project.deleted_at is not None and project.deleted_at <= oldest:
                del self._account.projects[project.id]
                await self.drop_project(project)

    async def settled(self) -> None:
        """Wait until sessions that had to end have ended."""
        await asyncio.gather(*self._ending)

    async def close(self) -> None:
        """Close all ports. The databases stay with their server."""
        await self.settled()
        for front in self._fronts.values():
            await front.close()
        await self.postgres.close()

    def _admit(self, project: Project, endpoint: Endpoint, words: Words) -> Words | Refusal:
        self._account.advance()
        if project.deleted_at is not None:
            return Refusal("The requested endpoint could not be found, or you don't have access to it.")
        if refusal := why_not(project, endpoint):
            return Refusal(refusal[1])
        database = project.databases.get(words.get("database", words.get("user", "")))
        if database is None:
            return Refusal(f'database "{words.get("database", "")}" does not exist', "3D000")
        self._account.wake(endpoint)
        role = project.roles.get(words.get("user", ""))
        return {**words, "database": database.physical} | ({"user": role.physical} if role else {})

    def _suspended(self, _project: Project, endpoint: Endpoint) -> None:
        front = self._fronts.get(endpoint.id)
        if front is not None and front.backend_ports:
            ports = list(front.backend_ports)
            task = asyncio.get_running_loop().create_task(self.postgres.end_sessions(ports))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
