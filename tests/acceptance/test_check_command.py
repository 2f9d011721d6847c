"""`agentdb check`: verdicts without a database, for programs and for people."""

import json
import subprocess
from pathlib import Path

import pytest

from support.commands import run_agentdb
from support.hosts import command

KEYS = {"id", "verdict", "class", "rule", "message"}


def not_json(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def answers(*lines: bytes, policies: tuple[str, ...] = ("agent",)) -> list[dict[str, object]]:
    options = [part for name in policies for part in ("--policy", name)]
    done = run_agentdb(Path("/nowhere"), "check", *options, given=b"\n".join(lines) + b"\n")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line, parse_constant=not_json) for line in done.stdout.splitlines()]


def test_each_line_gets_its_verdict_with_the_keys_promised() -> None:
    allowed, denied = answers(
        b'{"id": "a", "sql": "SELECT 1", "family": "ignored"}', b'{"id": 7, "sql": "SELECT pg_sleep(9)"}'
    )
    assert set(allowed) == set(denied) == KEYS
    assert (allowed["id"], allowed["verdict"], allowed["class"], allowed["rule"]) == (
        "a",
        "allow",
        "read",
        None,
    )
    assert (denied["id"], denied["verdict"], denied["class"]) == (7, "deny", "read")
    assert denied["rule"]
    assert denied["message"]


def test_a_verdict_is_written_as_soon_as_it_is_decided() -> None:
    with subprocess.Popen(command("check"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            # Nothing more is sent before the answer is there: a program that waited for more would hang here.
            process.stdin.write(b'{"id": %d, "sql": "SELECT 1"}\n' % number)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    "line",
    [
        b"nope",
        b"[]",
        b'{"id": 1}',
        b'{"id": 1, "sql": 5}',
        b'{"id": 1, "sql": null}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": NaN, "sql": "SELECT 1"}',
        b'{"id": [-Infinity], "sql": "SELECT 1"}',
        b'{"id": {"n": 1e999}, "sql": "SELECT 1"}',
    ],
)
def test_a_line_that_is_no_question_is_answered_and_the_next_one_too(line: bytes) -> None:
    wrong, right = answers(line, b'{"id": 2, "sql": "SELECT 1"}')
    assert wrong["verdict"] == "deny"
    assert wrong["message"]
    assert right["verdict"] == "allow"


def test_several_policies_give_a_line_each() -> None:
    said = answers(b'{"id": 1, "sql": "CREATE TABLE t (a int)"}', policies=("agent", "readonly"))
    assert [(line["policy"], line["verdict"]) for line in said] == [("agent", "allow"), ("readonly", "deny")]


@pytest.mark.parametrize(("sql", "code"), [("SELECT 1", 0), ("SELECT pg_sleep(1)", 1), ("SELEC 1", 2)])
def test_a_statement_as_an_argument_is_judged_by_exit_code(tmp_path: Path, sql: str, code: int) -> None:
    assert run_agentdb(tmp_path, "check", sql).returncode == code


def test_people_can_ask_what_a_verdict_rests_on(tmp_path: Path) -> None:
    said = run_agentdb(tmp_path, "check", "SELECT now(), a FROM t", "--explain").stdout
    assert said.splitlines()[0] == "allow agent: read"
    assert "relation t (read)" in said
    assert "function now (read)" in said
    assert "\x1b" not in said, "no colours outside a terminal"


def test_an_unknown_policy_is_refused_with_those_there_are(tmp_path: Path) -> None:
    refused = run_agentdb(tmp_path, "check", "--policy", "nope")
    assert refused.returncode == 1
    assert "agent, global, readonly, strict" in refused.stderr
