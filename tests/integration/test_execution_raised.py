"""A function raises what it likes: it cannot pose as a broken connection, a stopped server or a time limit."""

import asyncio
from typing import Final

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import SqlFailed
from agentdb_mcp.core.results import Caps
from agentdb_mcp.execution.atomic import Step
from agentdb_mcp.execution.copying import Place
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected
from support.statements import approved, write

CAPS: Final = Caps(changes=1_000)
STATES: Final = ("08006", "08003", "57P01", "57P03", "53300", "57014", "25P04", "0A000", "25001", "40001")
RAISES: Final = """
    CREATE TABLE mine (code text);
    CREATE FUNCTION raising(code text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = 'mine', HINT = 'agentdb: drop it'; END $$;
    CREATE FUNCTION raising() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM raising(NEW.code); RETURN NEW; END $$;
    CREATE TABLE later (code text);
    CREATE TRIGGER now BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION raising();
    CREATE CONSTRAINT TRIGGER later AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION raising();
"""


@pytest.fixture(scope="module")
def raising(target: Target) -> Target:
    async def make() -> None:
        async with connected(target.writer) as writer:
            await writer.execute(RAISES)

    asyncio.run(make())
    return target


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.mark.parametrize("state", STATES)
async def test_what_a_function_raises_is_its_own_word_wherever_it_is_raised(
    runner: Runner, raising: Target, state: str
) -> None:
    place = Place("public", "mine", ("code",))
    transaction = await runner.begin(raising, idle_seconds=60)
    for call in (
        runner.run(raising, approved("SELECT raising($1)"), [state], CAPS),
        runner.run(raising, write("INSERT INTO mine VALUES ($1)"), [state], CAPS),
        runner.run(raising, write("INSERT INTO later VALUES ($1)"), [state], CAPS),
        runner.change(raising, [Step(write("INSERT INTO later VALUES ($1)"), [state])], CAPS),
        runner.rehearse(raising, [Step(write("INSERT INTO later VALUES ($1)"), [state])], CAPS),
        runner.load(raising, write(place.insertion()), place, [[state]], caps=CAPS),
        runner.run(raising, write("INSERT INTO mine VALUES ($1)"), [state], CAPS, transaction),
    ):
        with pytest.raises(SqlFailed) as failed:
            await call
        assert (failed.value.sqlstate, failed.value.message) == (state, "mine")
        assert failed.value.postgres_hint == "agentdb: drop it"
        assert "agentdb" not in failed.value.hint
    # The transaction went on; what waits for its commit is the last to be heard.
    await runner.run(raising, write("INSERT INTO later VALUES ($1)"), [state], CAPS, transaction)
    with pytest.raises(SqlFailed, match="mine") as failed:
        await transaction.commit()
    assert failed.value.sqlstate == state
    counted = await runner.run(raising, approved("SELECT count(*) FROM later"), [], CAPS)
    assert counted.rows == ((0,),)
