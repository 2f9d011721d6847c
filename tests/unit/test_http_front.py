"""What the HTTP front decides before anybody is asked: names, bounds, pieces, and clients that left."""

import asyncio
import socket
from typing import Any

import pytest

from agentdb_mcp.core.access import Caller
from agentdb_mcp.core.errors import FAMILIES, Denied, Misconfigured, Missing, Unavailable
from agentdb_mcp.core.ids import TokenId
from agentdb_mcp.entrypoints.asgi import Departure, Message, Receive, Scope, Send, departure_of, set_caller
from agentdb_mcp.entrypoints.http.answers import status_of
from agentdb_mcp.entrypoints.http.doorman import Names, is_loopback
from agentdb_mcp.entrypoints.http.exchange import MOST_BODY, PIECE, Exchange
from agentdb_mcp.entrypoints.http.gateway import House
from agentdb_mcp.entrypoints.http.room import FREE, Room
from agentdb_mcp.entrypoints.http.serving import bound
from agentdb_mcp.entrypoints.http.structure import MOST_VALUES


@pytest.mark.parametrize(
    ("name", "admitted"),
    [
        ("db.example.com", True),
        ("DB.Example.com:8443", True),
        ("exact.example.com:8443", True),
        ("exact.example.com", False),
        ("exact.example.com:84", False),
        ("[::1]:8765", True),
        ("[::1", False),
        ("db.example.com.evil.example", False),
        ("db.example.com:", False),
        ("db.example.com:80:80", False),
        ("evil.example", False),
        ("", False),
    ],
)
def test_a_name_is_admitted_whole_or_not_at_all(name: str, admitted: bool) -> None:
    assert Names(["db.example.com", "exact.example.com:8443", "[::1]"]).admit(name) is admitted


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("db.example.com", False),
    ],
)
def test_an_address_that_others_reach_is_served_under_names_only(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
    House(address, hosts=("db.example.com",)).check()
    if loopback:
        House(address).check()
    else:
        with pytest.raises(Misconfigured) as refused:
            House(address).check()
        assert "AGENTDB_HTTP_ALLOWED_HOSTS" in refused.value.hint


def test_every_error_has_a_status_of_its_kind() -> None:
    for family in FAMILIES:
        for code in family.codes - {"sql_failed"}:
            assert 400 <= status_of(family(code, "")) < 600
    assert status_of(Denied("forbidden", "")) == 403
    assert status_of(Missing("workspace_not_found", "")) == 404
    assert status_of(Unavailable("control_plane_unavailable", "")) == 503


class Connection:
    """A client and the wire to it, as an ASGI server shows them."""

    def __init__(self, *messages: Message) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self._messages = list(messages)

    async def receive(self) -> Message:
        if not self._messages:
            await self.left.wait()
            return {"type": "http.disconnect"}
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)


def request(body: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def sent_by(name: str) -> Scope:
    scope: Scope = {"headers": []}
    set_caller(scope, Caller(TokenId(name), frozenset(), None))
    return scope


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_head() -> None:
    with bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_request_is_whole_before_it_is_worked_on_and_a_long_answer_goes_out_in_pieces() -> None:
    seen: list[bytes] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(2 * PIECE + 1)})

    client = Connection(request(b"one, ", more=True), request(b"two"))
    await Exchange(app, Room())(sent_by("ada"), client.receive, client.send)
    assert seen == [b"one, two"]
    assert [len(message.get("body", b"")) for message in client.sent] == [0, PIECE, PIECE, 1]
    assert [message.get("more_body") for message in client.sent[1:]] == [True, True, None]


async def test_a_body_over_the_bound_is_refused_before_anybody_works_on_it() -> None:
    async def app(*_: Any) -> None:
        pytest.fail("it was worked on")

    client = Connection(request(bytes(MOST_BODY), more=True), request(b"x", more=True))
    await Exchange(app, Room())(sent_by("ada"), client.receive, client.send)
    assert client.sent[0]["status"] == 413


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"[" + b"[]," * (MOST_VALUES // 2) + b"[]]", True),
        (b"[" + b"{}," * (MOST_VALUES // 2) + b"{}]", True),
        (b"[" + b"1," * MOST_VALUES + b"1]", True),
        (b"[" + b'"",' * MOST_VALUES + b'""]', True),
        (b'["' + b"[{," * MOST_VALUES + b'"]', False),
        (b'["' + rb"\"[," * MOST_VALUES + b'"]', False),
        (b'["' + rb"\\" * MOST_VALUES + b"[]," + b'"]', False),
        (b'["' + rb"\"[[[," * MOST_VALUES, False),
        (b"[" + b"1," * (MOST_VALUES - 2) + b"1]", False),
    ],
    ids=[
        "lists",
        "objects",
        "numbers",
        "texts",
        "in a text",
        "escaped",
        "backslashes",
        "endless",
        "just fits",
    ],
)
async def test_a_body_of_more_values_than_may_be_is_refused_whatever_its_texts_hold(
    body: bytes, refused: bool
) -> None:
    worked: list[bytes] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        worked.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = Connection(request(body))
    await Exchange(app, Room())(sent_by("ada"), client.receive, client.send)
    assert client.sent[0]["status"] == (413 if refused else 200)
    assert worked == ([] if refused else [body])


async def test_half_sent_bodies_are_counted_for_each_caller_and_in_all_until_they_are_answered() -> None:
    room, release = Room(of_one=2 * FREE, of_all=3 * FREE), asyncio.Event()

    async def app(*_: Any) -> None:
        await release.wait()

    async def ask(caller: str, *pieces: int) -> tuple[Connection, asyncio.Task[None]]:
        client = Connection(*[request(bytes(size), more=True) for size in pieces])
        asking = asyncio.create_task(Exchange(app, room)(sent_by(caller), client.receive, client.send))
        await asyncio.sleep(0)
        return client, asking

    half, waiting = await ask("ada", FREE, 2 * FREE)
    assert not waiting.done()
    _, refused = await ask("ada", FREE, 1)
    with pytest.raises(Denied, match="one caller") as said:
        await refused
    assert (said.value.code, status_of(said.value)) == ("rate_limited", 429)
    _, other = await ask("ben", 2 * FREE)
    assert not other.done()
    _, refused = await ask("cyd", FREE + 1)
    with pytest.raises(Denied, match="This server"):
        await refused
    _, small = await ask("ada", FREE)
    assert not small.done(), "small calls find room"
    half.left.set()
    await waiting
    _, again = await ask("ada", 3 * FREE)
    assert not again.done(), "what was given up was given back"
    for task in (other, small, again):
        task.cancel()
    await asyncio.wait([other, small, again])
    _, whole = await ask("ada", 3 * FREE)
    assert not whole.done()
    whole.cancel()


async def test_work_of_another_task_stops_when_the_client_leaves_and_not_when_it_has_its_answer() -> None:
    outcomes: list[str] = []

    async def work(departure: Departure, release: asyncio.Event) -> None:
        with departure.stops():
            await release.wait()
            outcomes.append("done")
            return
        outcomes.append("stopped")

    for answered in (False, True):
        release, begun = asyncio.Event(), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        async def app(
            scope: Scope,
            receive: Receive,
            send: Send,
            *,
            answered: bool = answered,
            release: asyncio.Event = release,
            begun: asyncio.Event = begun,
            tasks: list[asyncio.Task[None]] = tasks,
        ) -> None:
            tasks.append(asyncio.create_task(work(departure_of(scope), release)))
            if answered:
                await send({"type": "http.response.start", "status": 202, "headers": []})
                await send({"type": "http.response.body"})
            begun.set()
            await receive()
            await receive()

        client = Connection(request())
        exchange = asyncio.create_task(Exchange(app, Room())(sent_by("ada"), client.receive, client.send))
        await begun.wait()
        client.left.set()
        await exchange
        release.set()
        await asyncio.gather(*tasks)
    assert outcomes == ["stopped", "done"]
