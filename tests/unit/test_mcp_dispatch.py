"""One dispatch: whatever goes wrong is an answer, and a bug of ours says nothing but its reference."""

import logging
import re

import pytest

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.entrypoints.mcp.dispatch import AgentTools

SECRET = "postgresql://writer:hunter2@db/agent"


class Broken:
    """A service with a bug whose words must not get out."""

    async def run(self, *_: object, **__: object) -> None:
        raise RuntimeError(SECRET)


@pytest.fixture
def tools() -> AgentTools:
    principal = Principal(UserId("u"), WorkspaceId("w"))
    return AgentTools(
        principal,
        (Kind.AGENT,),
        Broken(),
        Broken(),
        Broken(),
        confirmation=Broken(),
        transactions=Broken(),
        loads=Broken(),
    )  # type: ignore[arg-type]


async def test_a_bug_is_an_answer_with_a_reference_that_the_log_explains_without_the_bugs_words(
    tools: AgentTools, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await tools.call("query", {"sql": "SELECT 'private'"})
    assert answer.is_error
    assert answer.structured["database"] == "agent"
    assert answer.structured["error"]["code"] == "internal"
    reference = re.search(r"reference ([0-9a-f]{8})", answer.text)
    assert reference is not None
    (record,) = caplog.records
    logged = record.getMessage()
    assert record.levelno == logging.ERROR
    assert reference[1] in logged
    assert "RuntimeError" in logged
    assert "test_mcp_dispatch.py" in logged
    for text in (answer.text, str(answer.structured), logged):
        assert "hunter2" not in text
        assert "Traceback" not in text
        assert "private" not in text
    assert record.exc_info is None


@pytest.mark.parametrize("name", ["", "QUERY", "query ", "run", "__class__"])
async def test_an_unknown_tool_is_an_answer_that_names_the_known_ones(tools: AgentTools, name: str) -> None:
    answer = await tools.call(name, {})
    assert answer.is_error
    assert answer.structured["error"]["code"] == "bad_argument"
    assert (
        "query, execute, execute_ddl, load_rows, transaction, explain, list_tables, describe_table"
        in answer.text
    )


async def test_wrong_arguments_reach_no_service(tools: AgentTools) -> None:
    answer = await tools.call("query", {"sql": "SELECT 1", "database": "global"})
    assert answer.structured["error"]["code"] == "bad_argument"


@pytest.mark.parametrize("name", ["max_rows", "max_bytes", "max_tokens", "max_cell"])
async def test_less_than_one_of_anything_is_refused(tools: AgentTools, name: str) -> None:
    answer = await tools.call("query", {"sql": "SELECT 1", name: 0})
    assert answer.structured["error"]["message"] == f"{name} must be at least 1."


async def test_a_query_of_nothing_is_told_both_ways_to_ask(tools: AgentTools) -> None:
    error = (await tools.call("query", {})).structured["error"]
    assert error["message"] == "query needs the argument sql, or a cursor to go on with."


@pytest.mark.parametrize("seconds", [0, -1, -0.5, float("nan")])
async def test_a_deadline_lies_ahead(tools: AgentTools, seconds: float) -> None:
    answer = await tools.call("query", {"sql": "SELECT 1", "timeout": seconds})
    assert answer.structured["error"]["code"] == "bad_argument"
    assert "more than 0" in answer.text
