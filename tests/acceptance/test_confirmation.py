"""Destructive statements wait for the user's word, in both eras, over a real server's stdin and stdout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.commands import run_agentdb
from support.hosts import CAN_ASK, ERAS, Era, Host

TABLE = "CREATE TABLE customer (id int PRIMARY KEY, name text)"
ROWS = "INSERT INTO customer SELECT n, 'x' FROM generate_series(1, 20) AS n"
DROP = {"name": "execute_ddl", "arguments": {"sql": "DROP TABLE customer"}}


@pytest.fixture(scope="module")
def place(home: Path) -> str:
    """One workspace for all of these tests; each makes the table anew."""
    for arguments in (("user", "create", "asked"), ("workspace", "create", "asking", "--user", "asked")):
        done = run_agentdb(home, *arguments)
        assert done.returncode == 0, done.stderr
    return "asking"


@pytest.fixture(params=ERAS, scope="module")
def server(request: pytest.FixtureRequest, home: Path, place: str) -> Iterator[Host]:
    """A host that can ask its user."""
    few = {"AGENTDB_CONFIRM_ROWS": "5"}
    with Host(home, "--workspace", place, era=request.param, capabilities=CAN_ASK, **few) as host:
        yield host


@pytest.fixture
def asking(server: Host) -> Host:
    made(server)
    return server


def made(host: Host) -> None:
    """The table with its rows, whatever was there before."""
    dropped = {"name": "execute_ddl", "arguments": {"sql": "DROP TABLE IF EXISTS customer"}}
    message, _ = question(host, dropped)
    assert not replied(host, dropped, message, "accept")["isError"]
    assert not host.call("execute_ddl", sql=TABLE)["isError"]
    assert not host.call("execute", sql=ROWS)["isError"]


def count(host: Host) -> int:
    return host.rows("SELECT count(*) FROM customer")[0][0]


def question(host: Host, call: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message that asks, and what it asks."""
    request_id = host.ask("tools/call", call)
    message = host.receive()
    if host.era == "legacy":
        assert message["method"] == "elicitation/create"
        return message, message["params"]
    assert message["id"] == request_id
    assert message["result"]["resultType"] == "input_required"
    (asked,) = message["result"]["inputRequests"].values()
    assert asked["method"] == "elicitation/create"
    return message, asked["params"]


def replied(host: Host, call: dict[str, Any], message: dict[str, Any], action: str) -> dict[str, Any]:
    """The result of the call once the user has answered."""
    reply = {"action": action, **({"content": {}} if action == "accept" else {})}
    if host.era == "legacy":
        host.send({"jsonrpc": "2.0", "id": message["id"], "result": reply})
        return host.receive()["result"]
    return host.request("tools/call", again(call, message, reply))["result"]


def again(call: dict[str, Any], message: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    asked = message["result"]
    responses = dict.fromkeys(asked["inputRequests"], reply)
    return {**call, "inputResponses": responses, "requestState": asked["requestState"]}


def test_the_user_is_told_what_is_lost_and_a_yes_runs_it_once(asking: Host) -> None:
    message, asked = question(asking, DROP)
    assert asked["mode"] == "form"
    assert asked["requestedSchema"] == {"type": "object", "properties": {}}
    assert "its own database (agent)" in asked["message"]
    assert "- DROP TABLE customer: " in asked["message"]
    assert "\n| DROP TABLE customer\n" in asked["message"]
    assert count(asking) == 20, "nothing happens, and nothing is held up, while the user thinks"
    result = replied(asking, DROP, message, "accept")
    assert not result["isError"], result
    assert result["structuredContent"]["command"] == "DROP TABLE"
    assert asking.error("query", sql="SELECT * FROM customer")["sqlstate"] == "42P01"


def test_a_no_and_a_closed_question_leave_everything_as_it_was(asking: Host) -> None:
    emptied = {"name": "execute", "arguments": {"sql": "DELETE FROM customer"}}
    for action, words in (("decline", "said no"), ("cancel", "closed the question")):
        message, asked = question(asking, emptied)
        assert "- every row of customer is deleted (DELETE)" in asked["message"]
        result = replied(asking, emptied, message, action)
        error = result["structuredContent"]["error"]
        assert result["isError"]
        assert error["code"] == "not_confirmed"
        assert words in error["message"]
        assert count(asking) == 20


def test_what_destroys_nothing_and_a_dry_run_ask_nobody(asking: Host) -> None:
    assert not asking.call("execute", sql="DELETE FROM customer WHERE id = 1")["isError"]
    assert not asking.call("execute", sql="DELETE FROM customer", dry_run=True)["isError"]
    assert asking.error("execute_ddl", sql="DROP DATABASE postgres")["code"] == "statement_denied"
    assert count(asking) == 19


def test_more_rows_than_pass_unasked_are_counted_taken_back_and_asked_about(asking: Host) -> None:
    assert (
        asking.call("execute", sql="UPDATE customer SET name = 'y' WHERE id <= 5")["structuredContent"][
            "affected"
        ]
        == 5
    )
    overwritten = {"name": "execute", "arguments": {"sql": "UPDATE customer SET name = 'z' WHERE id <= 6"}}
    message, asked = question(asking, overwritten)
    assert "It changes 6 rows, and up to 5 pass unasked." in asked["message"]
    assert "- public.customer: 6 overwritten\n" in asked["message"]
    assert asking.rows("SELECT count(*) FROM customer WHERE name = 'z'") == [[0]]
    assert not replied(asking, overwritten, message, "accept")["isError"]
    assert asking.rows("SELECT count(*) FROM customer WHERE name = 'z'") == [[6]]


def test_a_change_that_grew_while_the_user_thought_is_asked_about_again(asking: Host) -> None:
    deleted = {"name": "execute", "arguments": {"sql": "DELETE FROM customer WHERE name = 'x'"}}
    message, asked = question(asking, deleted)
    assert "20 deleted" in asked["message"]
    added = "INSERT INTO customer SELECT n, 'x' FROM generate_series(21, 40) AS n"
    assert not asking.call("execute", sql=added)["isError"], "rows that are added are not asked about"
    if asking.era == "legacy":
        asking.send({"jsonrpc": "2.0", "id": message["id"], "result": {"action": "accept", "content": {}}})
        message = asking.receive()
        assert "40 deleted" in message["params"]["message"]
    else:
        reply = {"action": "accept", "content": {}}
        message = asking.request("tools/call", again(deleted, message, reply))
        (more,) = message["result"]["inputRequests"].values()
        assert "40 deleted" in more["params"]["message"]
    assert count(asking) == 40
    assert not replied(asking, deleted, message, "accept")["isError"]
    assert count(asking) == 0


def test_rows_are_counted_over_all_statements_and_within_a_held_transaction(asking: Host) -> None:
    call = {
        "name": "execute",
        "arguments": {
            "statements": [
                {"sql": "DELETE FROM customer WHERE id <= 3"},
                {"sql": "UPDATE customer SET name = 'y' WHERE id BETWEEN 4 AND 6"},
            ]
        },
    }
    message, asked = question(asking, call)
    assert "- public.customer: 3 overwritten, 3 deleted\n" in asked["message"]
    assert replied(asking, call, message, "decline")["isError"]
    handle = asking.call("transaction", action="begin")["structuredContent"]["transaction"]
    assert not asking.call("execute", sql="DELETE FROM customer WHERE id = 20", transaction=handle)["isError"]
    call["arguments"]["transaction"] = handle
    message, _ = question(asking, call)
    assert not replied(asking, call, message, "accept")["isError"]
    assert not asking.call("transaction", action="commit", transaction=handle)["isError"]
    assert count(asking) == 16


def test_no_other_tool_insert_or_deferred_trigger_carries_rows_past_the_count(asking: Host) -> None:
    wipe = "DELETE FROM customer WHERE id > 0"
    mark = f"mark_{asking.era}"
    later = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wiped_later()"
    body = f"LANGUAGE plpgsql AS 'BEGIN {wipe}; RETURN NULL; END'"
    for sql in (
        f"CREATE TABLE {mark} (n int)",
        f"CREATE OR REPLACE FUNCTION wiped() RETURNS int {body}",
        f"CREATE OR REPLACE FUNCTION wiped_later() RETURNS trigger {body}",
        "CREATE OR REPLACE VIEW wiping AS SELECT wiped() AS n",
        f"CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON {mark} {later}",
        f"CREATE TABLE {mark}_in (n int)",
        f"CREATE CONSTRAINT TRIGGER later AFTER INSERT ON {mark}_in {later}",
    ):
        assert not asking.call("execute_ddl", sql=sql)["isError"]
    assert not asking.call("execute", sql=f"INSERT INTO {mark} VALUES (1)")["isError"]
    for tool, arguments in (
        ("execute_ddl", {"statements": [{"sql": wipe}, {"sql": "CREATE TABLE never (n int)"}]}),
        ("execute_ddl", {"sql": "CREATE TABLE never AS SELECT wiped() AS n"}),
        ("execute_ddl", {"sql": "CREATE TABLE never AS SELECT n FROM wiping"}),
        ("execute_ddl", {"sql": f"ALTER TABLE {mark} ADD COLUMN never int DEFAULT wiped()"}),
        ("execute", {"sql": f"INSERT INTO {mark} SELECT wiped()"}),
        ("execute", {"sql": f"INSERT INTO {mark} SELECT n FROM wiping"}),
        ("execute", {"sql": f"UPDATE {mark} SET n = 2 WHERE n = 1"}),
        ("execute", {"sql": f"INSERT INTO {mark}_in VALUES (1)"}),
        ("load_rows", {"table": f"{mark}_in", "columns": ["n"], "rows": [[1], [2]]}),
    ):
        call = {"name": tool, "arguments": arguments}
        message, asked = question(asking, call)
        assert "- public.customer: 20 deleted" in asked["message"], arguments
        assert replied(asking, call, message, "decline")["isError"]
        assert count(asking) == 20
    handle = asking.call("transaction", action="begin")["structuredContent"]["transaction"]
    assert not asking.call("execute", sql=f"INSERT INTO {mark}_in VALUES (1)", transaction=handle)["isError"]
    commit = {"name": "transaction", "arguments": {"action": "commit", "transaction": handle}}
    message, asked = question(asking, commit)
    assert "- public.customer: 20 deleted" in asked["message"]
    assert "| COMMIT" in asked["message"]
    assert replied(asking, commit, message, "decline")["isError"]
    assert count(asking) == 20
    message, _ = question(asking, commit)
    assert replied(asking, commit, message, "accept")["structuredContent"]["state"] == "committed"
    assert count(asking) == 0


def test_a_yes_is_not_asked_for_again_when_the_call_is_answered_from_its_record(asking: Host) -> None:
    key = f"drop once {asking.era}"
    call = {"name": "execute_ddl", "arguments": {"sql": "DROP TABLE customer", "idempotency_key": key}}
    message, _ = question(asking, call)
    assert not replied(asking, call, message, "accept")["isError"]
    assert not asking.call("execute_ddl", sql=TABLE)["isError"]
    answered = asking.call("execute_ddl", **call["arguments"])
    assert answered["structuredContent"]["replayed"], answered
    assert count(asking) == 0
    other = asking.call("execute_ddl", sql="DROP TABLE customer CASCADE", idempotency_key=key)
    assert other["structuredContent"]["error"]["code"] == "idempotency_conflict"


def test_a_cancelled_call_takes_its_question_back_and_a_client_that_fails_to_ask_gets_no_yes(
    home: Path, place: str
) -> None:
    with Host(home, "--workspace", place, era="legacy", capabilities=CAN_ASK) as host:
        made(host)
        request_id = host.ask("tools/call", DROP)
        asked = host.receive()
        host.notify("notifications/cancelled", {"requestId": request_id})
        taken_back = host.receive()
        assert taken_back["method"] == "notifications/cancelled"
        assert taken_back["params"]["requestId"] == asked["id"]
        for wrong in (
            {"error": {"code": -32601, "message": "no such method"}},
            {"result": {"action": "yes"}},
        ):
            message, _ = question(host, DROP)
            host.send({"jsonrpc": "2.0", "id": message["id"], **wrong})
            assert host.receive()["result"]["structuredContent"]["error"]["code"] == "not_confirmed"
        assert count(host) == 20


def test_a_state_is_good_for_its_own_call_its_own_server_and_once(home: Path, place: str) -> None:
    yes = {"action": "accept", "content": {}}
    with (
        Host(home, "--workspace", place, era="modern", capabilities=CAN_ASK) as host,
        Host(home, "--workspace", place, era="modern", capabilities=CAN_ASK) as stranger,
    ):
        made(host)
        message, _ = question(host, DROP)
        state = message["result"]["requestState"]
        emptied = {"name": "execute", "arguments": {"sql": "DELETE FROM customer"}}
        for call in (
            again(emptied, message, yes),
            {**again(DROP, message, yes), "requestState": state[:-4] + "AAAA"},
            {**again(DROP, message, yes), "requestState": json.dumps({"act": "0", "rows": None})},
        ):
            assert host.request("tools/call", call)["error"]["code"] == -32602
        assert stranger.request("tools/call", again(DROP, message, yes))["error"]["code"] == -32602
        without_a_reply = {**DROP, "requestState": state}
        assert host.request("tools/call", without_a_reply)["result"]["resultType"] == "input_required"
        without_a_state = {**DROP, "inputResponses": {"confirm": yes}}
        assert host.request("tools/call", without_a_state)["result"]["resultType"] == "input_required"
        assert count(host) == 20
        assert not host.request("tools/call", again(DROP, message, yes))["result"]["isError"]
        assert question_free(host)
        replayed = host.request("tools/call", again(DROP, message, yes))["result"]
        assert replayed["structuredContent"]["error"]["code"] == "not_confirmed"
        assert "used before" in replayed["content"][0]["text"]
        assert count(host) == 0


def question_free(host: Host) -> bool:
    """The table is made anew: a replay of the yes would drop it too."""
    return not host.call("execute_ddl", sql=TABLE)["isError"]


@pytest.mark.parametrize(("era", "capabilities"), [("legacy", {}), ("modern", {"elicitation": {"url": {}}})])
def test_where_nobody_can_be_asked_the_operators_setting_says_what_happens(
    home: Path, place: str, era: Era, capabilities: dict[str, Any]
) -> None:
    strict = {"AGENTDB_DESTRUCTIVE": "ask-or-refuse", "AGENTDB_CONFIRM_ROWS": "5"}
    with Host(home, "--workspace", place, era=era, capabilities=capabilities) as host:
        assert not host.call("execute_ddl", sql="DROP TABLE IF EXISTS customer")["isError"]
        assert not host.call("execute_ddl", sql=TABLE)["isError"]
        assert not host.call("execute", sql=ROWS)["isError"]
    with Host(home, "--workspace", place, era=era, capabilities=capabilities, **strict) as host:
        error = host.error("execute_ddl", sql="DROP TABLE customer")
        assert error["code"] == "not_confirmed"
        assert "cannot ask" in error["message"]
        assert "WHERE" in error["hint"]
        assert not host.call("execute", sql="DELETE FROM customer WHERE id < 3")["isError"]
        error = host.error("execute", sql="DELETE FROM customer WHERE id > 3")
        assert error["code"] == "not_confirmed"
        assert "It changes 17 rows" in error["message"]
        assert count(host) == 18


def test_a_setting_asks_nobody_at_all(home: Path, place: str) -> None:
    loose = {"AGENTDB_DESTRUCTIVE": "allow"}
    with Host(home, "--workspace", place, capabilities=CAN_ASK, **loose) as host:
        assert not host.call("execute_ddl", sql="DROP TABLE IF EXISTS customer")["isError"]
