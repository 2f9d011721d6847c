"""A call begins, commits and rolls back alike, whether the transaction around it is its own or a held one."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.execution.connecting import connect
from agentdb_mcp.execution.endpoints import parse_endpoint
from agentdb_mcp.execution.failures import LOST
from agentdb_mcp.execution.session import Session


@pytest.fixture
async def session(target: Target) -> AsyncIterator[Session]:
    opened = await connect(parse_endpoint(target.writer.reveal()), 15)
    await opened.execute("DROP TABLE IF EXISTS note; CREATE TABLE note (id int PRIMARY KEY)")
    yield opened
    opened.terminate()


async def ids(session: Session) -> list[int]:
    session.meter.left = 10_000
    return [row[0] for row in await session.fetch("SELECT id FROM note ORDER BY id")]


async def put(session: Session, *numbers: int) -> None:
    for number in numbers:
        await session.execute(f"INSERT INTO note VALUES ({number})")


async def test_on_its_own_a_call_ends_its_transaction(session: Session) -> None:
    await session.begin("READ WRITE")
    await put(session, 1)
    await session.roll_back()
    await session.begin("READ WRITE")
    await put(session, 2)
    await session.commit()
    assert not session.is_in_transaction()
    assert await ids(session) == [2]
    await session.roll_back()


async def test_in_a_held_transaction_a_call_ends_its_own_part(session: Session) -> None:
    await session.hold(60)
    await session.begin("READ WRITE")
    await put(session, 1)
    await session.commit()
    await session.begin("READ WRITE")
    await put(session, 2)
    with pytest.raises(asyncpg.UniqueViolationError):
        await put(session, 1)
    await session.roll_back()
    assert await ids(session) == [1]
    session.let_go()
    await session.commit()
    assert await ids(session) == [1]


@pytest.mark.parametrize("end", [Session.roll_back, Session.commit])
async def test_a_part_that_reads_cannot_write_and_the_next_can(session: Session, end: object) -> None:
    assert callable(end)
    await session.hold(60)
    await session.begin("READ ONLY")
    assert await ids(session) == []
    await end(session)
    await session.begin("READ ONLY")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await put(session, 1)
    await session.roll_back()
    await session.begin("READ WRITE")
    await put(session, 2)
    await session.commit()
    assert await ids(session) == [2]


async def test_what_was_held_and_let_go_is_rolled_back_whole(session: Session) -> None:
    await session.hold(60)
    await put(session, 1)
    await session.commit()
    session.let_go()
    await session.roll_back()
    assert not session.is_in_transaction()
    assert await ids(session) == []


async def test_the_server_ends_a_held_transaction_that_falls_silent(session: Session, target: Target) -> None:
    other = await connect(parse_endpoint(target.writer.reveal()), 15)
    await session.hold(1)
    await put(session, 1)
    try:
        # The other waits for the row's fate, for no longer than its role's lock_timeout.
        await put(other, 1)
        assert await ids(other) == [1]
        with pytest.raises((asyncpg.PostgresError, *LOST)):
            await put(session, 2)
    finally:
        other.terminate()
