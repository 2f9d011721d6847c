"""Existing databases are taken over: Neon projects of ours by their ids, users' own by their URIs.

The row comes first, as with every database, so that an import that is killed is finished by the next one.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentdb_mcp.core.databases import DatabaseSpec, Imported, Kind, ManagedDatabase, Observed, Provisioned
from agentdb_mcp.core.errors import Invalid, Misconfigured, Missing
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.services.lifecycle import check_id
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.store import Store

Adopt = Callable[[ConnectionUri, DatabaseSpec], Awaitable[Provisioned]]

NEON_DATABASE: Final = "neondb"

IGNORED: Final = frozenset(
    {
        "id",
        "current_period_cost_cents",
        "last_consumption_sync",
        "created_at",
        "updated_at",
        "neon_branch_id",
    }
)
"""Columns of a host's own rows that are read anew or begin anew here."""

_NAMES: Final = frozenset(
    {
        "user_id",
        "workspace_id",
        "workspace_name",
        "ownership_type",
        "neon_project_id",
        "neon_connection_uri",
        "database_name",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One database to take over."""

    given: Imported
    uri: ConnectionUri | None
    """Its owner's; needed for a user's own."""


class Importer:
    """Reads lines and carries them out; each is idempotent."""

    def __init__(
        self,
        store: Store,
        reconciler: Reconciler,
        providers: Mapping[str, Provider],
        *,
        adopt: Adopt,
        external: str,
        trail: Trail,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._adopt = adopt
        self._external = external
        self._trail = trail
        self._neon = providers.get("neon")

    def read(self, text: str) -> Line:
        """A line of JSON, with the names of Sim's columns.

        Raises Invalid, which repeats no value, and Misconfigured("ciphertext_invalid").
        """
        fields = _fields(text)
        sealed = fields.get("neon_connection_uri")
        uri = None if sealed is None else self._opened(sealed)
        project_id = fields.get("neon_project_id")
        ownership = fields.get("ownership_type") or ("user" if project_id is None else "platform")
        if ownership not in {"platform", "user"}:
            raise _invalid("ownership_type is neither platform nor user.")
        if "user_id" not in fields:
            raise _invalid("user_id is missing.", "A workspace's line names the workspace's owner in it.")
        self._check(ownership, project_id, uri, fields.get("database_name"))
        user_id, workspace_id = UserId(fields["user_id"]), fields.get("workspace_id")
        check_id("user", user_id)
        if workspace_id is not None:
            check_id("workspace", workspace_id)
        given = Imported(
            user_id=user_id,
            workspace_id=None if workspace_id is None else WorkspaceId(workspace_id),
            workspace_name=fields.get("workspace_name", ""),
            ownership_type="platform" if ownership == "platform" else "user",
            provider="neon" if ownership == "platform" else self._external,
            project_id=project_id if ownership == "platform" else None,
        )
        return Line(given, uri)

    def _opened(self, sealed: str) -> ConnectionUri:
        try:
            return self._store.read_uri(sealed)
        except Misconfigured as error:
            if error.code != "ciphertext_invalid":
                raise
            raise Misconfigured(
                "ciphertext_invalid",
                "The sealed neon_connection_uri does not open: it was changed, or sealed with another key.",
                "Put the key it was sealed with into AGENTDB_OLD_ENCRYPTION_KEYS.",
            ) from None

    async def carry_out(self, line: Line) -> ManagedDatabase:
        """Take it over: a project gets our name and our roles, a user's own database only our roles.

        Running it again for a user's own makes new credentials, e.g. after its owner's password changed.
        """
        async with self._trail.act("import", line.given.user_id) as entry:
            taken = await self._taken(line)
            entry.about(taken)
        return taken

    async def _taken(self, line: Line) -> ManagedDatabase:
        await self._check_project(line.given)
        row = await self._store.record_import(line.given)
        if line.uri is None or row.ownership_type == "platform":
            await self._reconciler.settle(row.id)
        else:
            made = await self._adopt(line.uri, DatabaseSpec(row.id, row.kind))
            await self._store.record_adopted(row.id, made)
        found = await self._store.find_by_id(row.id)
        if found is None:
            raise Missing("database_not_found", "The database was deleted meanwhile.")
        return found

    async def _check_project(self, given: Imported) -> None:
        """A typing error leaves no row behind."""
        if given.project_id is None or self._neon is None:
            return
        seen = await self._neon.observe(DatabaseSpec(DatabaseId(""), Kind.AGENT), given.project_id)
        if seen not in {Observed.ACTIVE, Observed.PAUSED}:
            raise Missing(
                "database_not_found",
                "Neon does not show this project, or not as one that runs.",
                "Check its id, and that NEON_API_KEY is of its organization.",
            )

    def _check(
        self, ownership: str, project_id: str | None, uri: ConnectionUri | None, database: str | None
    ) -> None:
        if ownership == "user":
            if uri is None:
                raise _invalid("A user's own database needs its neon_connection_uri.")
            return
        if project_id is None:
            raise _invalid("A platform's database needs its neon_project_id.")
        if database not in {None, NEON_DATABASE}:
            raise _invalid(
                f"A platform's project keeps its data in {NEON_DATABASE}, and this one does not.",
                'Import it with "ownership_type": "user", or rename its database.',
            )
        if self._neon is None:
            raise Misconfigured(
                "settings_invalid",
                "A Neon project is taken over by a process that is set up for Neon.",
                "Set AGENTDB_PROVIDER=neon and NEON_API_KEY for this command.",
            )


def _fields(text: str) -> Mapping[str, str]:
    try:
        read: Any = json.loads(text)
    except ValueError:
        raise _invalid("The line is not JSON.") from None
    if not isinstance(read, dict):
        raise _invalid("The line is not a JSON object.")
    given: dict[str, Any] = {name: value for name, value in read.items() if value is not None}
    if unknown := sorted(set(given) - _NAMES - IGNORED):
        # A name that could not be a column's may be a value in the wrong place.
        shown = unknown[0][:40] if unknown[0].isidentifier() else "a name that no column has"
        raise _invalid(f"Unknown: {shown}.", f"Known are: {', '.join(sorted(_NAMES))}.")
    fields = {name: given[name] for name in _NAMES & set(given)}
    if wrong := sorted(name for name, value in fields.items() if not isinstance(value, str) or not value):
        raise _invalid(f"{wrong[0]} is not a text.")
    return fields


def _invalid(message: str, hint: str = "") -> Invalid:
    return Invalid("bad_argument", message, hint or "docs/how-to/import-databases.md shows the form.")
