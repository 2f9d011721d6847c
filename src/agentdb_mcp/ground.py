"""What every program stands on: the PostgreSQL under the control plane, the store on it, the audit trail."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.services.access import Premises
from agentdb_mcp.services.audit import Trail
from agentdb_mcp.settings import Settings
from agentdb_mcp.store import Store, open_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentdb_mcp.providers.embedded import EmbeddedPostgres
    from agentdb_mcp.services.auditor import Auditor


@dataclass(frozen=True, slots=True)
class Server:
    """The PostgreSQL under the control plane: embedded, or the operator's own."""

    control: ConnectionUri
    """The control plane's database."""
    admin: ConnectionUri
    """May make databases and roles."""
    embedded: "EmbeddedPostgres | None"

    def premises(self) -> Premises:
        """What the services must know of a server that is ours to keep running."""
        if self.embedded is None:
            return Premises()
        embedded = self.embedded
        return Premises({"local": lambda: embedded.address}, embedded.ensure)

    @classmethod
    async def open(cls, settings: Settings, stack: AsyncExitStack) -> Self:
        """Joins or starts the embedded server, unless the settings name another."""
        if settings.control_url is not None:
            return cls(settings.control_url, settings.control_url, None)
        from agentdb_mcp.providers.embedded import EmbeddedPostgres

        embedded = await EmbeddedPostgres.open(settings.home)
        stack.push_async_callback(embedded.close)
        return cls(embedded.control_uri, embedded.admin_uri, embedded)


def now() -> datetime:
    """The clock of everything here."""
    return datetime.now(UTC)


async def open_store(settings: Settings, server: Server, stack: AsyncExitStack) -> Store:
    """The control plane, closed with the stack."""
    keys = open_keys(settings.encryption_key, settings.old_encryption_keys, settings.key_file)
    embedded = server.embedded
    store = await Store.open(server.control if embedded is None else lambda: embedded.control_uri, keys)
    stack.push_async_callback(store.close)
    return store


def open_trail(
    settings: Settings, store: Store, fingerprint: "Callable[[str], bytes | None] | None" = None
) -> Trail:
    """Where acts are written down; `fingerprint` is for those that run statements."""
    full_text = settings.audit_statements == "full"
    return Trail(store, now, mode=settings.audit, full_text=full_text, fingerprint=fingerprint)


def open_auditor(settings: Settings, store: Store) -> "Auditor":
    """Verifies and prunes what was written down."""
    from agentdb_mcp.services.auditor import Auditor, Retention

    return Auditor(store, Retention(settings.audit_days, settings.audit_rows), now)
