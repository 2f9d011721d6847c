"""The audit: every secret there is, looked for in everything anybody could have seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agentdb_mcp.app import App
from agentdb_mcp.core.databases import Desired
from agentdb_mcp.demo.stage import Stage
from agentdb_mcp.execution.endpoints import parse_endpoint


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was searched, for how many secrets, and where one was found."""

    secrets: int
    searched: dict[str, int]
    """Place -> characters."""
    leaks: tuple[str, ...]

    @classmethod
    async def collect(cls, app: App, stage: Stage, more: Sequence[str]) -> Self:
        """Looks for every password and key, and `more`, in answers, logs, command lines and the control
        plane's rows.
        """
        secrets = [*await _secrets(app), *more]
        places = {
            "answers to agents": "\n".join(stage.heard),
            "servers' logs": stage.logged(),
            "the control plane's rows": await app.store.dump(),
            **_command_lines(),
        }
        leaks = tuple(
            f"secret {number} in {place}"
            for place, text in places.items()
            for number, secret in enumerate(secrets, 1)
            if secret in text
        )
        return cls(len(secrets), {place: len(text) for place, text in places.items()}, leaks)

    def summary(self) -> str:
        """One line for the programme."""
        total = sum(self.searched.values())
        places = ", ".join(self.searched)
        return f"{self.secrets} secrets looked for in {total:,} characters of {places}: none found"


async def _secrets(app: App) -> list[str]:
    found = [app.server.control.reveal(), app.server.admin.reveal()]
    for database in await app.store.list_databases(None):
        if database.desired is not Desired.DELETED:
            found += [uri.reveal() for uri in await app.store.open_credentials(database.id)]
    keys = app.settings.key_file.read_text().split() if app.settings.key_file else []
    return [*(parse_endpoint(uri).password for uri in found), *keys]


def _command_lines() -> dict[str, str]:
    """Empty where the system does not show them as files."""
    lines: list[str] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_text(errors="replace"))
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return {"command lines of all processes": "\n".join(lines)} if lines else {}
