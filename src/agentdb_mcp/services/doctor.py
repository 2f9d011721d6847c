"""What is wrong with this installation, in words for the operator, each with its way out. Nothing is changed.

docs/how-to/mend.md says more about each; a test compares the two.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agentdb_mcp.core.databases import ManagedDatabase
from agentdb_mcp.core.errors import AgentDbError, Misconfigured, Missing
from agentdb_mcp.providers.base import Provider
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.store import Store

OVERDUE_SECONDS: Final = 300.0
"""What nobody has taken up for so long is not merely on its way."""

WAYS_OUT: Final[Mapping[str, str]] = {
    "ciphertext_invalid": "Restore the row from a backup, or make new credentials: agentdb database mend ID.",
    "encryption_key_unknown": "Add the key to AGENTDB_OLD_ENCRYPTION_KEYS. When it is lost for good:"
    " agentdb database mend ID.",
    "database_not_found": "Check that NEON_API_KEY is of the right organization; then agentdb database"
    " mend ID, which also looks for its name. When it is lost for good: docs/how-to/mend.md.",
    "project_shared": "The project's name at the provider tells whose it is. The other row was edited:"
    " set its neon_project_id to NULL, then agentdb database mend ID.",
    "compute_missing": "Its data is there: add a compute to the project's default branch in Neon's console,"
    " then agentdb database mend ID.",
    "provider_unavailable": "It is tried again by itself. If it lasts, look at the provider.",
    "provider_limit_reached": "Delete what is not needed, or raise the limit with the provider.",
    "provider_refused": "The log of the process that tried has the reason: check region and sizes.",
    "settings_invalid": "Check NEON_API_KEY, AGENTDB_NEON_ORGANIZATION, AGENTDB_PROVIDER and"
    " AGENTDB_CONTROL_URL of this process.",
    "overdue": "Leave an `agentdb worker` running, or run `agentdb reconcile`.",
    "not_imported": "Import its line again, with a URI that works; or delete its workspace or user.",
    "orphan": "agentdb sweep sets it right; agentdb sweep --dry-run says what it would do.",
    "audit_changeable": "A superuser gives the trail an owner of its own, once: docs/explanation/audit.md.",
    "protected": "agentdb database undelete ID brings it back; agentdb database unprotect ID lets it go.",
    "unjudged": "Nothing follows from what the provider shows: check its key, and the control plane.",
}
"""What kind of trouble it is -> what to do."""

OTHERWISE: Final = "Look it up in docs/reference/errors.md."


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong."""

    subject: str
    code: str
    """A key of WAYS_OUT, or another error's code."""
    words: str
    way_out: str


class Doctor:
    """Looks at every row, every sealed value and every provider."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], sweeper: Sweeper, *, chosen: str | None = None
    ) -> None:
        """`chosen`: where new databases are to be made, which may not be set up here."""
        self._store = store
        self._providers = providers
        self._chosen = chosen
        self._sweeper = sweeper

    async def examine(self) -> list[Ailment]:
        """Everything that is wrong, rows first. Raises Unavailable when the control plane does not answer."""
        rows = await self._store.list_databases(None)
        overdue = await self._store.overdue(OVERDUE_SECONDS)
        return [
            *[each for row in rows for each in await self._row(row)],
            *_shared(rows),
            *(
                _ailment(f"database {each}", "overdue", "not as wanted, and nobody is at it")
                for each in overdue
            ),
            *self._absent(rows),
            *[each for name in self._providers for each in await self._provider(name)],
            *await self._trail(),
        ]

    async def _row(self, row: ManagedDatabase) -> list[Ailment]:
        found = list[Ailment]()
        if row.last_error is not None and row.last_error != "project_shared":  # told of once, of both
            words = f"failed{_times(row.attempts)}; it is wanted {row.desired}"
            found.append(_ailment(_subject(row), row.last_error, words))
        if row.ownership_type == "user" and not row.has_credentials and not row.is_over:
            words = "a user's own database, and it could not be opened when it was imported"
            found.append(_ailment(_subject(row), "not_imported", words))
        if row.kept and row.protected:
            found.append(_ailment(_subject(row), "protected", "its row was deleted, and it is protected"))
        return found + (await self._unreadable(row) if row.has_credentials else [])

    async def _unreadable(self, row: ManagedDatabase) -> list[Ailment]:
        try:
            await self._store.open_credentials(row.id)
        except (Misconfigured, Missing) as error:
            return [_ailment(_subject(row), error.code, error.message)]
        return []

    def _absent(self, rows: Sequence[ManagedDatabase]) -> list[Ailment]:
        """Providers that this process cannot reach for want of settings."""
        there = Counter(row.provider for row in rows if row.ownership_type == "platform" and not row.is_over)
        names = there.keys() | ({self._chosen} if self._chosen else set())
        return [
            _ailment(
                f"provider {name}", "settings_invalid", f"not set up here; {there[name]} databases are there"
            )
            for name in sorted(names - self._providers.keys())
        ]

    async def _trail(self) -> list[Ailment]:
        if not await self._store.audit_is_changeable():
            return []
        words = "the role that serves could change or remove records"
        return [_ailment("audit trail", "audit_changeable", words)]

    async def _provider(self, provider: str) -> list[Ailment]:
        try:
            swept = await self._sweeper.sweep(dry_run=True, only=provider)
        except AgentDbError as error:
            return [_ailment(f"provider {provider}", error.code, error.message)]
        return [
            *(
                _ailment(f"{each.provider} {each.project_id}", "orphan", each.plight)
                for each in swept.findings
            ),
            *(_ailment("provider", "unjudged", reason) for reason in swept.unjudged),
        ]


def _ailment(subject: str, code: str, words: str) -> Ailment:
    return Ailment(subject, code, words, WAYS_OUT.get(code, OTHERWISE))


def _subject(row: ManagedDatabase) -> str:
    return f"database {row.id}"


def _times(attempts: int) -> str:
    """Not told where what is wanted has changed since, and it was not tried again."""
    return {0: "", 1: " once"}.get(attempts, f" {attempts} times")


def _shared(rows: Sequence[ManagedDatabase]) -> list[Ailment]:
    """Projects that the rows of several databases name. Users' own may be called alike, on two servers."""
    holders = defaultdict[tuple[str, str], list[ManagedDatabase]](list)
    for row in rows:
        if row.ownership_type == "platform" and row.project_id is not None and not row.is_over:
            holders[row.provider, row.project_id].append(row)
    return [
        _ailment(f"{provider} {project_id}", "project_shared", f"named by databases {_ids(sharing)}")
        for (provider, project_id), sharing in holders.items()
        if len(sharing) > 1
    ]


def _ids(rows: Sequence[ManagedDatabase]) -> str:
    return " and ".join(row.id for row in rows)
