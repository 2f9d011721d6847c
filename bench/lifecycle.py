"""What a lifecycle costs: seconds, requests to Neon, statements to the control plane, memory.

Neon is the stand-in, over a real PostgreSQL, in a time of its own: waits for operations and for turns count
as Neon's clock says, work counts as it takes here.
"""

import asyncio
import resource
import secrets
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from agentdb_mcp import dsn
from agentdb_mcp.app import open_app
from agentdb_mcp.core.databases import Desired
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.secrets import ApiKey, ConnectionUri, KeyText
from agentdb_mcp.fake_neon.clock import ManualClock
from agentdb_mcp.fake_neon.server import API_KEY, FakeNeon
from agentdb_mcp.providers.embedded import EmbeddedPostgres
from agentdb_mcp.providers.neon import NeonProvider
from agentdb_mcp.providers.neon_api import NeonApi
from agentdb_mcp.providers.neon_http import NeonHttp
from agentdb_mcp.services.lifecycle import LifecycleService
from agentdb_mcp.services.reconciler import Reconciler
from agentdb_mcp.services.sweeper import Sweeper
from agentdb_mcp.settings import read_settings
from agentdb_mcp.store import Store, open_keys

MADE = 30
IDLE = 10_000
AT_ONCE = 1_000

ADA = UserId("ada")

IDLE_ROWS = """
    WITH added AS (
        INSERT INTO workspace (id, owner_id) SELECT 'w' || n, 'ada' FROM generate_series(1, $1::int) n
        RETURNING id
    )
    INSERT INTO workspace_database (workspace_id, user_id, provider, neon_project_id, writer_connection_uri,
                                    reader_connection_uri, observed_state)
    SELECT id, 'ada', 'neon', 'project-' || id, 'sealed', 'sealed', 'active' FROM added
"""

PASSED = "UPDATE rate_budget SET next_at = next_at - make_interval(secs => $1)"

Act = Callable[[], Awaitable[object]]


class RationedClock(ManualClock):
    """A time in which the control plane's turns come nearer as well, by whatever is slept."""

    def __init__(self, turns: asyncpg.Pool) -> None:
        super().__init__()
        self.turns = turns

    async def sleep(self, seconds: float) -> None:
        """Sleep in this time."""
        await super().sleep(seconds)
        await self.turns.execute(PASSED, seconds)


@dataclass
class Bench:
    """A control plane, and Neon's stand-in."""

    store: Store
    admin: Any
    """A connection of the server's superuser."""
    clock: ManualClock
    fake: FakeNeon
    lifecycle: LifecycleService
    reconciler: Reconciler
    sweeper: Sweeper

    async def requests(self, act: Act) -> Counter[str]:
        """What is sent to Neon meanwhile, by method."""
        self.fake.faults.requests.clear()
        await act()
        return Counter(method for method, _ in self.fake.faults.requests)

    async def transactions(self) -> int:
        """Of the control plane so far. Sessions report theirs when they were idle for ten seconds."""
        await asyncio.sleep(11)
        await self.admin.execute("SELECT pg_stat_clear_snapshot()")
        return await self.admin.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )


def main() -> str:
    """The tables."""
    with tempfile.TemporaryDirectory(prefix="agentdb-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        return asyncio.run(_measured(Path(folder)))


async def _measured(home: Path) -> str:
    lines = ["| a local database is | p50, ms | p95, ms |", "|---|---|---|"]
    lines += await _provisioned(home)
    async with _bench(home) as bench:
        lines += ["", "| at Neon | requests | GET | POST, PATCH, DELETE |", "|---|---|---|---|"]
        lines += await _asked(bench)
        lines += ["", "| the reconciler | result |", "|---|---|"]
        lines += await _idle(bench)
    async with _bench(home) as bench:
        lines += await _at_once(bench)
    return "\n".join(lines)


async def _provisioned(home: Path) -> list[str]:
    """Interleaved with what PostgreSQL takes for an empty database alone."""
    times: dict[str, list[float]] = {"created (CREATE DATABASE alone)": [], "created": [], "deleted": []}

    async def timed(name: str, act: Awaitable[object]) -> None:
        began = time.perf_counter()
        await act
        times[name].append((time.perf_counter() - began) * 1_000)

    async with open_app(read_settings({"AGENTDB_HOME": str(home)})) as app:
        await app.lifecycle.register_user(ADA)
        bare = await asyncpg.connect(**dsn.arguments(app.server.admin.reveal()))
        for number in range(MADE):
            place = WorkspaceId(f"place-{number}")
            await timed("created (CREATE DATABASE alone)", bare.execute(f"CREATE DATABASE bare_{number}"))
            await timed("created", app.lifecycle.create_workspace(place, ADA))
            await timed("deleted", app.lifecycle.delete_workspace(place, ADA))
            await bare.execute(f"DROP DATABASE bare_{number}")
        await bare.close()
    return [
        f"| {name} | {statistics.median(each):.0f} | {statistics.quantiles(each, n=20)[-1]:.0f} |"
        for name, each in times.items()
    ]


async def _asked(bench: Bench) -> list[str]:
    place, row = WorkspaceId("asked"), list[str]()
    await bench.lifecycle.register_user(ADA)
    made = (await bench.lifecycle.create_workspace(place, ADA)).database
    await bench.lifecycle.delete_workspace(place, ADA)
    acts: dict[str, Act] = {
        "created": lambda: bench.lifecycle.create_workspace(place, ADA),
        "created again, which changes nothing": lambda: bench.lifecycle.create_workspace(place, ADA),
        "paused": lambda: bench.lifecycle.pause(made.id),
        "resumed": lambda: bench.lifecycle.resume(made.id),
        "fitted to another plan (two databases)": lambda: bench.lifecycle.change_plan(ADA, "pro"),
        "looked at": lambda: bench.reconciler.look(limit=1, unseen_seconds=0),
        "mended": lambda: bench.lifecycle.mend(made.id),
        "deleted": lambda: bench.lifecycle.delete_workspace(place, ADA),
        "swept, when nothing is wrong": lambda: bench.sweeper.sweep(dry_run=False),
    }
    for name, act in acts.items():
        sent = await bench.requests(act)
        rows = [each for each in await bench.lifecycle.databases(ADA) if each.workspace_id == place]
        made = next((each for each in rows if each.desired is not Desired.DELETED), made)
        reads = sent["GET"]
        row.append(f"| {name} | {sent.total()} | {reads} | {sent.total() - reads} |")
    return row


async def _idle(bench: Bench) -> list[str]:
    """Rows that need nothing."""
    await bench.admin.execute(IDLE_ROWS, IDLE)
    await bench.admin.execute("ANALYZE")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before, began = await bench.transactions(), time.perf_counter()
    sent = await bench.requests(bench.reconciler.run_due)
    took = (time.perf_counter() - began) * 1_000
    asked = await bench.transactions() - before
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1_024
    result = (
        f"| {IDLE:,} databases that need nothing | {took:.0f} ms, {asked} transactions, "
        f"{sent.total()} requests, {grown:.1f} MB more at the peak |"
    )
    return [result]


async def _at_once(bench: Bench) -> list[str]:
    """So many that are wanted gone: each takes requests, and the rate budget is one, in the control plane.

    What the work here takes brings turns as well, so the two times add up.
    """
    await bench.lifecycle.register_user(ADA)
    await bench.admin.execute(IDLE_ROWS, AT_ONCE)
    await bench.admin.execute("DELETE FROM workspace")
    before, began, at = await bench.transactions(), time.perf_counter(), bench.clock()
    sent = await bench.requests(bench.reconciler.run_due)
    took, waited = time.perf_counter() - began, (bench.clock() - at).total_seconds()
    asked = await bench.transactions() - before
    left = await bench.admin.fetchval(
        "SELECT count(*) FROM database_tombstone WHERE observed_state <> 'deleted'"
    )
    result = (
        f"| {AT_ONCE:,} databases to delete at once | {took:.0f} s of work here and {waited:.0f} s of "
        f"waiting, {sent.total():,} requests, so {sent.total() / (took + waited):.1f} a second, "
        f"{asked:,} transactions; {left} left |"
    )
    return [result]


@asynccontextmanager
async def _bench(home: Path) -> AsyncIterator[Bench]:
    postgres = await EmbeddedPostgres.open(home)
    name = f"bench_{uuid.uuid4().hex[:8]}"
    arguments = dsn.arguments(postgres.admin_uri.reveal())
    maker = await asyncpg.connect(**arguments)
    await maker.execute(f"CREATE DATABASE {name}")
    admin = await asyncpg.connect(**{**arguments, "database": name})
    control = ConnectionUri(postgres.admin_uri.reveal().rpartition("/")[0] + f"/{name}")
    store = await Store.open(control, open_keys(KeyText(secrets.token_hex(32)), (), None))
    await store.migrate()
    clock = RationedClock(
        await asyncpg.create_pool(min_size=1, max_size=1, **{**arguments, "database": name})
    )
    fake = await FakeNeon(postgres.admin_uri, clock=clock).start()
    http = NeonHttp(
        ApiKey(API_KEY), store, base_url=fake.api_url, sleep=clock.sleep, monotonic=clock.monotonic
    )
    providers = {"neon": NeonProvider(NeonApi(http, sleep=clock.sleep, monotonic=clock.monotonic))}
    reconciler = Reconciler(store, providers)
    lifecycle = LifecycleService(store, reconciler, provider="neon")
    yield Bench(store, admin, clock, fake, lifecycle, reconciler, Sweeper(store, providers))
    await store.close()
    await http.close()
    await fake.forget()
    await fake.close()
    await clock.turns.close()
    await admin.close()
    await maker.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maker.close()
    await postgres.close()


if __name__ == "__main__":
    print(main())
