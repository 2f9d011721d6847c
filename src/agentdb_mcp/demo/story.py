"""Two users, three workspaces, five databases: what the product promises, claim by claim."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from agentdb_mcp.app import App, open_app
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.demo.cloud import NONE, Cloud, neon
from agentdb_mcp.demo.exposure import Exposure
from agentdb_mcp.demo.intruder import refused_entry
from agentdb_mcp.demo.stage import Agent, Programme, Stage, rows_of, text
from agentdb_mcp.fake_neon.account import Account
from agentdb_mcp.settings import read_settings

ADA, BEN = UserId("ada"), UserId("ben")
RESEARCH, WRITER, TRADER = WorkspaceId("research"), WorkspaceId("writer"), WorkspaceId("trader")

HIDDEN_SLEEP = "SELECT 1 /* /**/**/, pg_sleep(600) --*/"
"""PostgreSQL runs the sleep; a parser that reads nested comments differently sees `SELECT 1`."""


async def run(*, on_neon: bool = False) -> int:
    """Play it in a home of its own that is removed again; 0 when every claim held."""
    programme = Programme(sys.stdout)
    with _own_home() as folder:
        async with neon(folder) if on_neon else nullcontext(NONE) as cloud:
            await _tell(programme, folder, cloud)
    return programme.close()


async def _tell(programme: Programme, folder: Path, cloud: Cloud) -> None:
    stage = Stage(folder, cloud.agents)
    programme.scene("An embedded PostgreSQL and the control plane")
    async with open_app(read_settings({"AGENTDB_HOME": str(folder), **cloud.operator})) as app:
        version, pending = await app.store.server_version(), await app.store.migrate()
        programme.claim(f"PostgreSQL {version} is up, the schema is current", holds=not pending)
        await _register(app, programme)
        await _play(app, stage, programme)
        await _audit(app, stage, programme, cloud)
        if cloud.account is not None:
            await _leave(app, programme, cloud.account)


@contextmanager
def _own_home() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="agentdb-demo-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # the embedded Postgres drops root and must still reach its files
        yield Path(folder)


async def _register(app: App, programme: Programme) -> None:
    programme.scene("The host registers two users and creates three workspaces")
    for user in (ADA, BEN):
        receipt = await app.lifecycle.register_user(user)
        programme.claim(f"user {user} has a shared database and a budget", holds=receipt.pending is None)
    for workspace, user in ((RESEARCH, ADA), (WRITER, ADA), (TRADER, BEN)):
        receipt = await app.lifecycle.create_workspace(workspace, user)
        programme.claim(
            f"agent {workspace} ({user}) has a database of its own", holds=receipt.pending is None
        )
    again = await app.lifecycle.create_workspace(RESEARCH, ADA)
    count = len(await app.lifecycle.databases())
    programme.claim("creating one twice is creating it once", holds=again.pending is None and count == 5)


async def _play(app: App, stage: Stage, programme: Programme) -> None:
    programme.scene("Three agents, each through `agentdb mcp` on stdio")
    async with (
        stage.agent(RESEARCH) as research,
        stage.agent(WRITER) as writer,
        stage.agent(TRADER) as trader,
    ):
        answers = [await agent.rows("SELECT 1") for agent in (research, writer, trader)]
        programme.claim("three servers answer", holds=answers == [[[1]]] * 3)
        await _work(research, programme)
        await _share(research, writer, trader, programme)
        await _attack(app, trader, programme)
        await _pause(app, research, programme)


async def _work(research: Agent, programme: Programme) -> None:
    table = (
        "CREATE TABLE paper (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, price numeric)"
    )
    await research.call("execute_ddl", sql=table)
    insert = "INSERT INTO paper (title, price) VALUES ($1, 0.10), ($2, 12.50), ('', NULL) RETURNING id"
    added = await research.call("execute", sql=insert, params=["Attention", "It's 'quoted'"])
    programme.claim("research creates a table and adds rows", holds=rows_of(added) == [[1], [2], [3]])
    answer = await research.call("query", sql="SELECT * FROM paper ORDER BY id")
    expected = [[1, "Attention", "0.10"], [2, "It's 'quoted'", "12.50"], [3, "", None]]
    programme.claim("values keep their meaning", holds=rows_of(answer) == expected, shows=text(answer))
    wrong = await research.call("query", sql="DELETE FROM paper")
    programme.claim(
        "a write sent to `query` is refused with the right tool's name",
        holds="execute" in text(wrong),
        shows=text(wrong),
    )


async def _share(research: Agent, writer: Agent, trader: Agent, programme: Programme) -> None:
    note = "CREATE TABLE note (body text)"
    await research.call("execute_ddl", sql=note, database="global")
    await research.call("execute", sql="INSERT INTO note VALUES ('for the writer')", database="global")
    seen = await writer.rows("SELECT body FROM note", database="global")
    programme.claim(
        "writer reads what research left in ada's shared database", holds=seen == [["for the writer"]]
    )
    foreign = await trader.call("query", sql="SELECT body FROM note", database="global")
    programme.claim("trader (ben) has another shared database: no such table", holds="42P01" in text(foreign))
    own = await writer.call("query", sql="SELECT * FROM paper")
    programme.claim("writer does not see research's own tables", holds="42P01" in text(own))


async def _attack(app: App, trader: Agent, programme: Programme) -> None:
    programme.scene("Attacks")
    for words, sql in (
        ("a call hidden from parsers that misread nested comments", HIDDEN_SLEEP),
        ("a second statement behind a COMMIT", "COMMIT; DROP SCHEMA public CASCADE"),
        ("a program on the server", "COPY (SELECT 1) TO PROGRAM 'id'"),
    ):
        answer = await trader.call("query", sql=sql)
        programme.claim(f"refused: {words}", holds=bool(answer.is_error), shows=text(answer).splitlines()[0])
    theirs = await app.access.authenticate_workspace(TRADER)
    victim = await app.access.authenticate_workspace(RESEARCH)
    trader_target = await app.access.resolve(theirs, Kind.AGENT)
    for kind in Kind:
        refusal = await refused_entry(trader_target, await app.access.resolve(victim, kind))
        words = f"without the guard, trader's own role at ada's {kind} database: PostgreSQL refuses"
        programme.claim(words, holds=refusal is not None, shows=refusal or "connected!")


async def _pause(app: App, research: Agent, programme: Programme) -> None:
    programme.scene("Pause and resume")
    principal = await app.access.authenticate_workspace(RESEARCH)
    target = await app.access.resolve(principal, Kind.AGENT)
    await app.lifecycle.pause(target.database_id)
    refused = await research.call("query", sql="not even SQL")
    programme.claim(
        "a paused database refuses before the statement is even read",
        holds="database_paused" in text(refused),
        shows=text(refused),
    )
    await app.lifecycle.resume(target.database_id)
    rows = await research.rows("SELECT count(*) FROM paper")
    programme.claim("resumed, with its data", holds=rows == [[3]])


async def _audit(app: App, stage: Stage, programme: Programme, cloud: Cloud) -> None:
    programme.scene("What was exposed")
    exposure = await Exposure.collect(app, stage, cloud.secrets)
    programme.claim(exposure.summary(), holds=not exposure.leaks, shows="\n".join(exposure.leaks))


async def _leave(app: App, programme: Programme, account: Account) -> None:
    programme.scene("What Neon shows in its console")
    rows = {row.project_id: row for row in await app.lifecycle.databases()}
    live = [project for project in account.projects.values() if project.deleted_at is None]
    held = len(live) == 5 and all(project.name.endswith(rows[project.id].id) for project in live)
    programme.claim("one project for each of the five databases, named after it", holds=held)
    agents = next(row for row in rows.values() if row.workspace_id == TRADER)
    await app.lifecycle.pause(agents.id)
    project = account.projects[agents.project_id or ""]
    shut = all(endpoint.disabled for endpoint in project.endpoints.values())
    programme.claim(
        "a paused project has every compute disabled, and a quota that is not 0 (which is unlimited)",
        holds=shut and bool(project.quota) and all(project.quota.values()),
    )
    for user in (ADA, BEN):
        await app.lifecycle.delete_user(user)
    live = [project for project in account.projects.values() if project.deleted_at is None]
    programme.claim("the users leave, and no project is left that costs money", holds=not live)
