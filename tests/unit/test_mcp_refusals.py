"""A line that is no message is answered, under the request's id wherever the id can be known."""

import json
from typing import Any

import pytest

from agentdb_mcp.entrypoints.mcp.refusals import malformed, too_long, without_id
from agentdb_mcp.entrypoints.mcp.wire import TooLong

CALL = {"name": "query", "arguments": {"sql": "select 1"}}


def answer(frame: bytes) -> dict[str, Any]:
    assert frame.endswith(b"\n")
    assert frame.count(b"\n") == 1
    return json.loads(frame)


@pytest.mark.parametrize(
    "line",
    [b"{", b"hello", b"\xff\xfe", b'{"id": 1,}', b"[" * 100_000, b'{"id":' + b"9" * 5_000 + b"}"],
    ids=["cut", "words", "not utf-8", "trailing comma", "deep", "endless number"],
)
def test_what_is_not_json_is_a_parse_error_without_an_id(line: bytes) -> None:
    refused = answer(malformed(line))
    assert refused["id"] is None
    assert refused["error"]["code"] == -32700


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        ('{"jsonrpc":"1.0","id":7,"method":"ping"}', 7),
        ('{"jsonrpc":"2.0","id":"a","method":5}', "a"),
        ('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"sql":"\\ud800"}}', 7),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', None),
        ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None),
        ('{"jsonrpc":"2.0","id":7,"result":5}', None),
        ('"hello"', None),
        ("null", None),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(line: str, request_id: object) -> None:
    refused = answer(malformed(line.encode()))
    assert refused["id"] == request_id
    assert refused["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (r'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"sql":"\ud800"}}', "surrogate"),
        (r'{"jsonrpc":"2.0","id":"\udfff","method":"tools/call"}', "surrogate"),
        ('{"jsonrpc":"2.0","id":[1],"method":5}', "The id of a request"),
        ('{"jsonrpc":"1.0","id":7,"method":"ping"}', "not a JSON-RPC 2.0 message"),
    ],
)
def test_a_refusal_tells_the_true_reason(line: str, reason: str) -> None:
    assert reason in answer(malformed(line.encode()))["error"]["message"]


@pytest.mark.parametrize("request_id", ["null", "1.5", "1.0", "true", "1e400", "[]", "{}"])
def test_a_request_whose_id_no_answer_can_carry_is_refused_under_null(request_id: str) -> None:
    refused = without_id(b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % request_id.encode())
    assert refused is not None
    assert answer(refused) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32600, "message": "The id of a request is a string or a whole number."},
    }


def test_a_notification_is_not_answered() -> None:
    assert without_id(b'{"jsonrpc":"2.0","method":"a","params":{"id":null}}') is None


def test_a_batch_is_refused_with_the_reason() -> None:
    refused = answer(malformed(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'))
    assert refused["error"] == {
        "code": -32600,
        "message": "Batches are not served: send each message on a line of its own.",
    }


@pytest.mark.parametrize(
    ("head", "tail", "request_id"),
    [
        (b'{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"na', b'xxx"}}}', 12),
        (b'{ "id" : "a\\"b", "method"', b'xxx"}}}', 'a"b'),
        (b'{"method":"tools/call","params":{"name":"query","argum', b'xxx"}},"jsonrpc":"2.0","id":5}', 5),
        (b'{"method":"tools/call","params":{"id":3,"name"', b'xxx"}},"jsonrpc":"2.0","id":"z" }\r', "z"),
        (b'{"method":"tools/call","params":{"name":"query","argum', b'xxx","id":5}}}', None),
        (b'{"method":"tools/call","params":{"name":"query","argum', b'xxx\\",\\"id\\":5}"}}', None),
        (b'{"params":{"id":3,"name"', b'xxx"}}', None),
        (b"xxxxxxxxxx", b"xxxxxxxxxx", None),
    ],
)
def test_a_line_too_long_is_refused_under_its_own_id_only(
    head: bytes, tail: bytes, request_id: object
) -> None:
    refused = answer(too_long(TooLong(head, tail, 9_000_000)))
    assert refused["id"] == request_id
    assert refused["error"]["code"] == -32600
    assert "9000000" in refused["error"]["message"]
