"""A host's call with a key is made once: repeated, raced, failed, abandoned."""

import asyncio

import pytest

from agentdb_mcp.core.errors import Invalid, Unavailable
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.services.host_calls import Answer, OnceOnly
from agentdb_mcp.store import Store
from support.postgres import run_sql

HOST = "host:t1"
ASKED = {"method": "PUT", "path": "/api/users/ada"}


class Work:
    """Something that is to be done once."""

    def __init__(self) -> None:
        self.done = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.has_begun = asyncio.Event()

    async def act(self) -> Answer:
        self.done += 1
        self.has_begun.set()
        await self.may_end.wait()
        return {"number": self.done}

    async def fail(self) -> Answer:
        self.done += 1
        raise Unavailable("provider_unavailable", "Not now.")


async def test_the_first_answer_is_given_again(store: Store) -> None:
    once, work = OnceOnly(store), Work()
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 1}, False)
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 1}, True)
    assert await once.call(HOST, None, ASKED, work.act) == ({"number": 2}, False)
    assert await once.call(HOST, "another", ASKED, work.act) == ({"number": 3}, False)


async def test_a_key_that_stands_for_something_else_is_refused(store: Store) -> None:
    once, work = OnceOnly(store), Work()
    await once.call(HOST, "k", ASKED, work.act)
    with pytest.raises(Invalid) as caught:
        await once.call(HOST, "k", {**ASKED, "path": "/api/users/ben"}, work.act)
    assert caught.value.code == "idempotency_conflict"
    assert work.done == 1


async def test_another_callers_key_of_the_same_text_is_another_key(store: Store) -> None:
    once, work = OnceOnly(store), Work()
    await once.call(HOST, "k", ASKED, work.act)
    assert await once.call("host:t2", "k", ASKED, work.act) == ({"number": 2}, False)
    assert await once.call("operator", "k", {}, work.act) == ({"number": 3}, False)
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 1}, True)


async def test_of_two_at_once_one_is_made(store: Store) -> None:
    once, work = OnceOnly(store), Work()
    work.may_end.clear()
    first = asyncio.create_task(once.call(HOST, "k", ASKED, work.act))
    await work.has_begun.wait()
    with pytest.raises(Unavailable) as caught:
        await once.call(HOST, "k", ASKED, work.act)
    assert caught.value.code == "call_in_progress"
    work.may_end.set()
    assert await first == ({"number": 1}, False)
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 1}, True)


async def test_a_call_that_failed_or_was_cancelled_frees_its_key(store: Store) -> None:
    once, work = OnceOnly(store), Work()
    with pytest.raises(Unavailable):
        await once.call(HOST, "k", ASKED, work.fail)
    work.may_end.clear()
    cancelled = asyncio.create_task(once.call(HOST, "k", ASKED, work.act))
    await work.has_begun.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    work.may_end.set()
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 3}, False)


async def test_a_call_whose_process_died_is_made_again_after_a_while(
    store: Store, control_uri: ConnectionUri
) -> None:
    once, work = OnceOnly(store), Work()
    assert await store.begin_call(f"{HOST} k", _digest(ASKED)) is None
    with pytest.raises(Unavailable):
        await once.call(HOST, "k", ASKED, work.act)
    await run_sql(control_uri, "UPDATE host_call SET begun_at = begun_at - interval '5 minutes'")
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 1}, False)


async def test_keys_are_forgotten_after_a_week(store: Store, control_uri: ConnectionUri) -> None:
    once, work = OnceOnly(store), Work()
    await once.call(HOST, "k", ASKED, work.act)
    await run_sql(control_uri, "UPDATE host_call SET begun_at = begun_at - interval '8 days'")
    assert await once.call(HOST, "k", ASKED, work.act) == ({"number": 2}, False)


def _digest(asked: dict[str, str]) -> bytes:
    import hashlib
    import json

    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()
