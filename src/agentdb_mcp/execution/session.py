"""One connection that speaks text: every value arrives exactly as PostgreSQL writes it, whatever its type.

asyncpg's own codecs are binary, have no value for some dates and ranges, and fail on types they cannot
introspect (anyarray in pg_stats). Text has none of this; see docs/adr/0004-text-values.md.

This is the only file that leans on asyncpg's internals (0.32, pinned): `_get_statement`, `_introspect_types`,
`_process_log_message`, `_stmts_to_close`, `_transport`, `_protocol` (prepare, bind_execute, bind, execute,
query, the state of cancels and transactions) and `settings.add_python_codec`.
tests/integration/test_execution_session.py fails loudly when one of them moves.
"""

# ruff: noqa: SLF001

import asyncio
import select
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

import asyncpg

from agentdb_mcp.core.results import Column, JsonValue
from agentdb_mcp.execution.answers import Answer, Prepared
from agentdb_mcp.execution.cells import UNCUT, Meter, is_narrow
from agentdb_mcp.execution.failures import LOST, raised_apart
from agentdb_mcp.execution.gauge import Gauge
from agentdb_mcp.execution.parameters import encode
from agentdb_mcp.execution.pgtypes import BUILTIN, DESCRIBE_TYPES, PgType
from agentdb_mcp.execution.scopes import Scoped
from agentdb_mcp.execution.sieving import Sieve

KEPT_STATEMENTS: Final = 100
"""Prepared statements one connection keeps."""

LONGEST_KEPT: Final = 15_000
"""Characters up to which a statement is worth keeping prepared."""

MOST_BYTES: Final = 128 * 1024 * 1024
"""Bytes the server may send for one statement, unless its caps ask for more. They are received, not held."""

MOST_NOTICES: Final = 20
LONGEST_NOTICE: Final = 1_000

_RESET: Final = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP"
"""asyncpg's own also calls pg_advisory_unlock_all, which hardened databases take away from everybody."""

_PORTAL: Final = "page"

_REPORTED: Final = (
    "standard_conforming_strings",
    "client_encoding",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "search_path",
)
"""What changes how a statement is read or a value written, and is reported by the server whenever it changes
(search_path since PostgreSQL 18)."""


class Session(Scoped):
    """A connection of one role to one database, used by one statement at a time."""

    _protocol: Any  # None once closed; asyncpg's own annotation says None only

    __slots__ = (
        "_allowance",
        "_at_first",
        "_gauge",
        "_half_way",
        "_prepared",
        "_reported",
        "_types",
        "_wire",
        "backend",
        "idle_since",
        "meter",
        "notices",
        "tidying",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backend: int = self._protocol.get_server_pid()
        """The server's process for this session."""
        self.meter = Meter()
        self._allowance = MOST_BYTES
        self._gauge = Gauge(self._protocol, self.terminate, MOST_BYTES)
        self._transport.set_protocol(self._gauge)
        self.notices: list[str] = []
        self.idle_since = 0.0
        """Loop time of the last return to a pool; 0 before the first."""
        self.tidying: asyncio.Task[None] | None = None
        """A `tidy` under way, which `is_ready` waits for."""
        self._half_way = False
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._types: dict[int, PgType] = {}
        self._wire = select.poll()
        self._wire.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        settings = self.get_settings()
        self._reported = attrgetter(*[name for name in _REPORTED if hasattr(settings, name)])
        self._at_first: object = self._reported(settings)
        self._register(BUILTIN)

    async def prepare_text(self, sql: str, *, keep: bool) -> Prepared:
        """The statement, parsed by the server; no round trip when this connection has kept it."""
        self.sent = False
        self.notices.clear()
        self._gauge.left = MOST_BYTES
        found = self._prepared.get(sql)
        if found is not None:
            self._prepared.move_to_end(sql)
            return found
        keep = keep and len(sql) <= LONGEST_KEPT
        self._half_way = True
        state: Any = await self._get_statement(sql, None, named=keep, use_cache=False)
        prepared = self._described(state)
        if keep:
            self._keep(sql, prepared)
        return prepared

    async def execute_text(
        self,
        prepared: Prepared,
        params: Sequence[JsonValue],
        *,
        most_rows: int,
        allowance: int,
        longest: int = UNCUT,
        to_the_end: bool = False,
    ) -> Answer:
        """Runs it in one round trip: at most `most_rows` rows, texts past `allowance` characters dropped.

        There PostgreSQL stops it, unless it is run `to_the_end`: then what follows is let go as it comes in.
        Cells of more than `longest` characters are cut; they may be larger than memory. Raises Invalid for
        parameters that cannot be sent, before anything is.
        """
        texts = self._ready_to_send(prepared, params)
        limit = 0 if to_the_end else most_rows
        with self._allowed(allowance, longest):
            self._gauge.sieve = Sieve(rows=most_rows, notices=MOST_NOTICES) if to_the_end else None
            rows, tag, _ = await self._protocol.bind_execute(prepared.state, texts, "", limit, True, None)
        return _answer(rows, tag)

    async def open_portal(self, prepared: Prepared, params: Sequence[JsonValue]) -> None:
        """Starts it so that `next_rows` gives its rows piece by piece, all of one snapshot; in a transaction.

        Raises Invalid as `execute_text` does.
        """
        texts = self._ready_to_send(prepared, params)
        with raised_apart():
            await self._protocol.bind(prepared.state, texts, _PORTAL, None)

    async def next_rows(
        self, prepared: Prepared, *, most_rows: int, allowance: int, longest: int = UNCUT
    ) -> Answer:
        """The next rows of the open portal, within the same bounds as those of `execute_text`."""
        with self._allowed(allowance, longest):
            rows, tag, _ = await self._protocol.execute(prepared.state, _PORTAL, most_rows, True, None)
        return _answer(rows, tag)

    def type_of(self, oid: int) -> PgType:
        """The type of a parameter of a statement that was prepared here."""
        return self._types[oid]

    def forget(self, sql: str) -> None:
        """Parse it anew next time: its result has changed under it."""
        prepared = self._prepared.pop(sql, None)
        if prepared is not None:
            self._stmts_to_close.add(prepared.state)

    @property
    def received(self) -> int:
        """Bytes of the last answer, as the server sent it."""
        return self._allowance - self._gauge.left

    def is_flooded(self) -> bool:
        """Whether the connection was closed because the answer was too large."""
        return self._gauge.overrun

    def understands_us(self) -> bool:
        """Whether the server reads quotes and bytes as the guard did when it judged the statement."""
        settings = self.get_settings()
        return settings.standard_conforming_strings == "on" and settings.client_encoding == "UTF8"

    def is_settled(self) -> bool:
        """Whether nothing is under way on it."""
        return not (self.is_closed() or self._protocol._is_cancelling() or self._protocol.is_in_transaction())

    def is_half_way(self) -> bool:
        """Whether a statement was prepared and not executed.

        asyncpg ends the first with Flush and only the second with Sync: until then the server is in a
        transaction, with the locks that parsing took.
        """
        return self._half_way

    async def is_ready(self) -> bool:
        """Whether it is as good as new: alive as far as this machine knows, and its settings untouched."""
        if self.tidying is not None:
            tidying, self.tidying = self.tidying, None
            await asyncio.wait([tidying])
        # Nothing is said on an idle connection: anything to read is the server's goodbye.
        return (
            not self.is_closed()
            and not self._wire.poll(0)
            and self._reported(self.get_settings()) == self._at_first
        )

    async def tidy(self) -> None:
        """Undoes what a statement may have left behind; closes the connection when that fails."""
        self._half_way = False
        self._gauge.left = MOST_BYTES
        try:
            await self._protocol.query(_RESET, None)
        except (asyncpg.PostgresError, *LOST):
            self.terminate()

    async def has_stopped(self, seconds: float) -> bool:
        """Waits for a cancelled statement to end; False when it did not, and the socket is closed then."""
        if self.is_closed() or not self._protocol._is_cancelling():
            return True
        try:
            await self._protocol._wait_for_cancellation(seconds)
        except TimeoutError:
            return False
        return True

    async def end_backend(self, process: int) -> None:
        """Ends another session of the same role."""
        await self.fetchval("SELECT pg_catalog.pg_terminate_backend($1)", process)

    def _ready_to_send(self, prepared: Prepared, params: Sequence[JsonValue]) -> list[str | None]:
        self.sent = False
        texts = encode(params, prepared.parameters, self._types)
        self._check_open()
        self.sent = True
        self._half_way = False
        return texts

    @contextmanager
    def _allowed(self, characters: int, longest: int) -> Generator[None]:
        """Bounds on what comes in meanwhile. What we ask on our own behalf comes in whole."""
        self.meter.left = characters
        self._allowance = self._gauge.left = max(MOST_BYTES, 2 * characters)
        self.meter.longest = longest
        self.meter.cuts = 0
        self._gauge.longest = longest if longest < UNCUT else None
        try:
            with raised_apart():
                yield
            self._gauge.longest = None  # not after a cancel: what was under way then is still to come
        finally:
            self.meter.longest = UNCUT

    def _keep(self, sql: str, prepared: Prepared) -> None:
        self._prepared[sql] = prepared
        if len(self._prepared) > KEPT_STATEMENTS:
            # asyncpg closes what is in this set on the server when it prepares the next statement.
            self._stmts_to_close.add(self._prepared.popitem(last=False)[1].state)

    def _described(self, state: Any) -> Prepared:
        columns = state._get_attributes()
        return Prepared(
            state,
            tuple(parameter.oid for parameter in state._get_parameters()),
            tuple(Column(column.name, column.type.name) for column in columns),
            sum(not is_narrow(column.type.oid) for column in columns),
        )

    async def _introspect_types(self, typeoids: set[int], timeout: float | None) -> tuple[list[Any], Any]:
        """What asyncpg asks when it meets object ids without a codec: one query, names for all of them."""
        state: Any = await self._protocol.prepare("", DESCRIBE_TYPES, timeout, record_class=asyncpg.Record)
        state._init_codecs()
        allowance, self.meter.left = self.meter.left, 1_000_000
        asked = "{" + ",".join(map(str, typeoids)) + "}"
        rows = await self._protocol.bind_execute(state, [asked], "", 0, False, timeout)
        self.meter.left = allowance
        found = {int(oid): PgType(name, int(element), delimiter) for oid, name, element, delimiter in rows}
        # A type that another session has just dropped gets a codec too: its values are text like all others.
        self._register({oid: found.get(oid, PgType("???")) for oid in typeoids})
        return [], state

    def _register(self, types: dict[int, PgType]) -> None:
        self._types.update(types)
        add = self._protocol.get_settings().add_python_codec
        for oid, kind in types.items():
            convert = self.meter.converter(oid, self._types)
            add(oid, kind.name, "pg_catalog", (), "scalar", str, convert, "text")

    def _process_log_message(self, fields: dict[str, str], last_query: str | None) -> None:
        """A notice, as it comes in."""
        del last_query
        if len(self.notices) < MOST_NOTICES:
            text = f"{fields.get('S', 'NOTICE')}: {fields.get('M', '')}"
            self.notices.append(text[:LONGEST_NOTICE])


def _answer(rows: list[Any], tag: bytes | None) -> Answer:
    return Answer(tuple(map(tuple, rows)), tag.decode() if tag else "")
