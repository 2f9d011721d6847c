"""One agent's tools at work: a call comes in by name, an answer goes out, whatever happens in between."""

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.changes import Key, Outcome, Statement
from agentdb_mcp.core.consent import NOBODY, Person, TooManyRows
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import AgentDbError, Invalid, Unavailable
from agentdb_mcp.core.guard import Tool
from agentdb_mcp.core.results import Asked, ResultSet
from agentdb_mcp.core.schema import Listing
from agentdb_mcp.entrypoints.mcp import plans, render, tables, versions
from agentdb_mcp.entrypoints.mcp.arguments import checked, missing, unknown_tool
from agentdb_mcp.entrypoints.mcp.render import ToolAnswer
from agentdb_mcp.entrypoints.mcp.resources import AgentResources
from agentdb_mcp.entrypoints.mcp.statements import load_of, statements_of
from agentdb_mcp.entrypoints.mcp.tools import ToolSpec, agent_tools
from agentdb_mcp.entrypoints.mcp.versions import SchemaNews
from agentdb_mcp.services.confirmation import Confirmation
from agentdb_mcp.services.loading import LoadService
from agentdb_mcp.services.queries import QueryService
from agentdb_mcp.services.questions import Act
from agentdb_mcp.services.schema import SchemaService
from agentdb_mcp.services.transactions import Transactions
from agentdb_mcp.services.writes import WriteService

_log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]

_MOST = ("max_rows", "max_bytes", "max_tokens", "max_cell")
_LISTING = ("schema", "pattern", "after", "search")

Work = Callable[[Kind, Arguments], Awaitable[ToolAnswer]]


_RENDERED: Final = {"execute": render.changed, "execute_ddl": render.defined}

_MOST_CHANGES: Final = "most changes"
"""Stands beside the caller's own arguments, none of which can have that name."""


class AgentTools:
    """The tools of one principal: who calls, and what it can reach, is settled here, never by an argument."""

    def __init__(
        self,
        principal: Principal,
        databases: Sequence[Kind],
        queries: QueryService,
        writes: WriteService,
        schema: SchemaService,
        *,
        confirmation: Confirmation,
        transactions: Transactions,
        loads: LoadService,
    ) -> None:
        self.databases = tuple(databases)
        self.resources = AgentResources(principal, databases, schema)
        self._principal = principal
        self._default = databases[0]
        self._queries = queries
        self._writes = writes
        self._schema = schema
        self._news = SchemaNews()
        self._confirmation = confirmation
        self._transactions = transactions
        self._loads = loads
        self._work: dict[str, Work] = {
            "query": self._query,
            "execute": self._execute,
            "execute_ddl": self._execute_ddl,
            "load_rows": self._load_rows,
            "transaction": self._transaction,
            "explain": self._explain,
            "list_tables": self._list_tables,
            "describe_table": self._describe_table,
            "database_info": self._database_info,
        }
        self._specs = {spec.name: spec for spec in agent_tools(databases)}

    async def call(self, name: str, arguments: Arguments, person: Person = NOBODY) -> ToolAnswer:
        """Runs one tool. What goes wrong is an answer the model can read; only cancellation passes.

        An answer with a `question` did nothing yet: once `person` agreed to it, the call is made again.
        """
        kind = None
        try:
            spec = self._spec(name)
            fitting = checked(spec, arguments)
            kind = Kind(fitting.get("database", self._default))
            answer = await self._done(spec.name, kind, fitting, person)
            return self._news.told(kind, answer, await self._schema.version(self._principal, kind))
        except AgentDbError as error:
            return render.failure(error, kind)
        except Exception as error:  # noqa: BLE001 - the last net: a bug costs one call, never the server
            return render.failure(_unexpected(name, error), kind)

    def _spec(self, name: str) -> ToolSpec:
        if name not in self._specs:
            raise unknown_tool(name, self._specs)
        return self._specs[name]

    async def _done(self, name: str, kind: Kind, arguments: Arguments, person: Person) -> ToolAnswer:
        act = self._act(name, kind, arguments)
        if act is None:
            return await self._work[name](kind, arguments)
        permit = await self._confirmation.require(act, person)
        if permit.made is not None:
            return _RENDERED[name](kind, permit.made, dry_run=False)
        try:
            return await self._work[name](kind, {**arguments, _MOST_CHANGES: permit.rows})
        except TooManyRows as found:
            raise permit.exceeded(found.touched) from None

    def _act(self, name: str, kind: Kind, arguments: Arguments) -> Act | None:
        """What a person may have to be asked about; None for what changes nothing that is there."""
        key = None
        if name == "load_rows":
            statements = [load_of(arguments)]
        elif name == "transaction" and arguments["action"] == "commit" and "transaction" in arguments:
            statements = [Statement("COMMIT", [arguments["transaction"]])]
        elif name in _RENDERED and not arguments.get("dry_run"):
            statements = statements_of(arguments)
            if "idempotency_key" in arguments:
                text: str = arguments["idempotency_key"]
                key = Key.of(self._principal.workspace_id, text, name, statements)
        else:
            return None
        return Act(self._principal, kind, name, statements, key)

    async def _query(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        if "cursor" in arguments:
            if "transaction" in arguments:
                raise _no_cursor()
            return render.rows(kind, await self._resume(kind, arguments))
        if "sql" not in arguments:
            raise missing(self._specs["query"], "sql, or a cursor to go on with")
        found = await self._queries.run(
            self._principal,
            kind,
            arguments["sql"],
            arguments.get("params", ()),
            asked=_asked(arguments),
            transaction=arguments.get("transaction"),
        )
        return render.rows(kind, found)

    async def _execute(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        outcome = await self._change("execute", kind, arguments)
        return render.changed(kind, outcome, dry_run=arguments.get("dry_run", False))

    async def _execute_ddl(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        outcome = await self._change("execute_ddl", kind, arguments)
        if not arguments.get("dry_run") and "transaction" not in arguments:
            self._news.made(kind, await self._schema.look(self._principal, kind))
        return render.defined(kind, outcome, dry_run=arguments.get("dry_run", False))

    async def _change(self, tool: Tool, kind: Kind, arguments: Arguments) -> Outcome:
        return await self._writes.change(
            self._principal,
            kind,
            tool,
            statements_of(arguments),
            key=arguments.get("idempotency_key"),
            dry_run=arguments.get("dry_run", False),
            asked=_asked(arguments),
            transaction=arguments.get("transaction"),
        )

    async def _resume(self, kind: Kind, arguments: Arguments) -> ResultSet:
        return await self._queries.resume(
            self._principal,
            kind,
            arguments["cursor"],
            sql=arguments.get("sql"),
            params=arguments.get("params"),
            asked=_asked(arguments),
        )

    async def _load_rows(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        loaded = await self._loads.load(
            self._principal,
            kind,
            arguments["table"],
            arguments["columns"],
            arguments["rows"],
            key=arguments.get("idempotency_key"),
            asked=_asked(arguments),
            transaction=arguments.get("transaction"),
        )
        return render.loaded(kind, loaded)

    async def _transaction(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        action: str = arguments["action"]
        if action == "begin":
            if "transaction" in arguments:
                raise Invalid("bad_argument", "begin makes the handle; transactions do not nest.")
            return render.begun(kind, await self._transactions.begin(self._principal, kind))
        if "transaction" not in arguments:
            raise missing(self._specs["transaction"], "transaction")
        if action == "rollback":
            await self._transactions.roll_back(self._principal, kind, arguments["transaction"])
            return render.ended(kind, "rolled back")
        await self._transactions.commit(
            self._principal, kind, arguments["transaction"], most=arguments.get(_MOST_CHANGES)
        )
        self._news.made(kind, await self._schema.look(self._principal, kind))
        return render.ended(kind, "committed")

    async def _explain(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        plan, pace = await self._queries.explain(
            self._principal, kind, arguments["sql"], arguments.get("params", ())
        )
        return plans.explained(kind, plan, pace)

    async def _list_tables(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        if "since" in arguments:
            found = await self._schema.changes(self._principal, kind, since=arguments["since"])
            return versions.changed(kind, found)
        found = await self._schema.list_tables(
            self._principal, kind, Listing(**{key: arguments.get(key) for key in _LISTING})
        )
        return tables.listed(kind, found)

    async def _describe_table(self, kind: Kind, arguments: Arguments) -> ToolAnswer:
        found = await self._schema.describe_table(
            self._principal,
            kind,
            arguments["table"],
            schema=arguments.get("schema"),
            samples=arguments.get("samples", 0),
        )
        return tables.described(kind, found)

    async def _database_info(self, kind: Kind, _: Arguments) -> ToolAnswer:
        facts, budget = await self._schema.database_facts(self._principal, kind)
        return tables.informed(kind, facts, self._schema.limits, budget)


def _asked(arguments: Arguments) -> Asked:
    seconds = arguments.get("timeout")
    if seconds is not None and not seconds > 0:
        raise Invalid("bad_argument", "timeout is in seconds, and more than 0.")
    for name in _MOST:
        if arguments.get(name, 1) < 1:
            raise Invalid("bad_argument", f"{name} must be at least 1.")
    return Asked(*map(arguments.get, _MOST), seconds=seconds, changes=arguments.get(_MOST_CHANGES))


def _no_cursor() -> Invalid:
    return Invalid(
        "bad_argument",
        "Cursors do not go on in a transaction.",
        "ORDER BY a unique key and WHERE key > the last one goes on there.",
    )


def _unexpected(name: str, error: Exception) -> Unavailable:
    """A bug of ours: its kind and place go to the log, never its words, which may hold data or a secret."""
    reference = secrets.token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    _log.error("internal error %s in tool %s: %s at %s", reference, name, type(error).__name__, places)
    return Unavailable(
        "internal",
        f"The server met an error of its own, reference {reference}.",
        "A change may or may not have been made: look before you repeat it, and report the reference.",
    )
