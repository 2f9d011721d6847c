"""A handle leads its owner back to its reading, for a while, and everybody else nowhere."""

from datetime import UTC, datetime, timedelta

import pytest

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Missing
from agentdb_mcp.core.guard import Keyset
from agentdb_mcp.core.ids import DatabaseId, UserId, WorkspaceId
from agentdb_mcp.core.pages import Page
from agentdb_mcp.core.places import Place
from agentdb_mcp.core.results import ALL, Column, ResultSet
from agentdb_mcp.services.cursors import (
    LIFETIME,
    LONGEST_STATEMENT,
    MOST_CURSORS,
    MOST_PAGES,
    MOST_PRINCIPALS,
    Cursors,
    Reading,
)

ANN = Principal(UserId("ann"), WorkspaceId("one"))
ANN_ELSEWHERE = Principal(UserId("ann"), WorkspaceId("two"))
BOB = Principal(UserId("bob"), WorkspaceId("one"))
PAGE = Page(1, b"digest", 100)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cursors(clock: Clock) -> Cursors:
    return Cursors(clock)


def reading(sql: str = "SELECT 1", *, params: tuple[str, ...] = (), pages: int = 1) -> Reading:
    return Reading(DatabaseId("d"), Kind.AGENT, sql, params, ALL, (PAGE,) * pages)


def kept(cursors: Cursors, principal: Principal = ANN, sql: str = "SELECT 1") -> str:
    handle = cursors.keep(principal, reading(sql))
    assert handle is not None
    return handle


def leads_nowhere(cursors: Cursors, handle: str, principal: Principal = ANN) -> bool:
    with pytest.raises(Missing) as missing:
        cursors.find(principal, handle)
    return missing.value.code == "cursor_expired" and bool(missing.value.hint)


def test_a_handle_leads_to_its_reading_as_often_as_it_is_asked(cursors: Cursors) -> None:
    one, other = kept(cursors, sql="SELECT 1"), kept(cursors, sql="SELECT 2")
    assert [cursors.find(ANN, handle).sql for handle in (one, other, one)] == [
        "SELECT 1",
        "SELECT 2",
        "SELECT 1",
    ]


@pytest.mark.parametrize("stranger", [ANN_ELSEWHERE, BOB])
def test_a_handle_of_somebody_else_leads_nowhere(cursors: Cursors, stranger: Principal) -> None:
    handle = kept(cursors)
    kept(cursors, stranger)
    assert leads_nowhere(cursors, handle, stranger)
    assert cursors.find(ANN, handle) == reading()


@pytest.mark.parametrize("forged", ["", "0", "x" * 1_000_000, "\ud800"])
def test_a_forged_handle_leads_nowhere_and_is_not_repeated(cursors: Cursors, forged: str) -> None:
    kept(cursors)
    assert leads_nowhere(cursors, forged)


def test_what_is_said_of_a_strange_handle_does_not_tell_whether_it_exists(cursors: Cursors) -> None:
    handle = kept(cursors)
    with pytest.raises(Missing) as foreign:
        cursors.find(BOB, handle)
    with pytest.raises(Missing) as forged:
        cursors.find(BOB, "forged")
    assert foreign.value.as_dict() == forged.value.as_dict()


def test_a_handle_expires(cursors: Cursors, clock: Clock) -> None:
    handle = kept(cursors)
    clock.pass_by(LIFETIME - timedelta(seconds=1))
    assert cursors.find(ANN, handle) == reading()
    clock.pass_by(timedelta(seconds=1))
    assert leads_nowhere(cursors, handle)


def test_a_principal_has_so_many_and_a_new_one_replaces_its_own_oldest(cursors: Cursors) -> None:
    others = kept(cursors, BOB)
    handles = [kept(cursors) for _ in range(MOST_CURSORS + 2)]
    assert all(leads_nowhere(cursors, handle) for handle in handles[:2])
    assert all(cursors.find(ANN, handle) for handle in handles[2:])
    assert cursors.find(BOB, others)


def test_nothing_stays_of_principals_that_do_not_come_back(cursors: Cursors, clock: Clock) -> None:
    for number in range(10):
        kept(cursors, Principal(UserId("u"), WorkspaceId(str(number))))
    clock.pass_by(LIFETIME / 2)
    kept(cursors, BOB)
    assert len(cursors._principals) == 11
    clock.pass_by(LIFETIME / 2)
    kept(cursors)
    assert list(cursors._principals) == [BOB, ANN]


@pytest.mark.parametrize(
    "long",
    [
        reading("x" * (LONGEST_STATEMENT + 1)),
        reading(params=("x" * LONGEST_STATEMENT,)),
        reading(pages=MOST_PAGES + 1),
    ],
    ids=["statement", "parameters", "pages"],
)
def test_what_is_too_long_to_be_remembered_gets_no_handle(cursors: Cursors, long: Reading) -> None:
    assert cursors.keep(ANN, long) is None
    assert cursors._principals == {}


def test_handles_are_not_alike(cursors: Cursors) -> None:
    assert len({kept(cursors) for _ in range(1_000)}) == 1_000


KEYSET = Keyset(("t",), ("id",), descending=False, body="")


def page_of(*ids: int) -> ResultSet:
    return ResultSet((Column("id", "integer"),), tuple((number,) for number in ids), "", longest=9)


def test_a_reading_by_key_goes_on_past_the_pages_that_are_remembered(cursors: Cursors) -> None:
    long = reading(pages=0)
    for number in range(MOST_PAGES + 2):
        found = page_of(number)
        long = long.after(found, Place.behind(KEYSET, found))
        assert cursors.keep(ANN, long) is not None
        assert len(long.pages) == (number + 1 if number < MOST_PAGES else 0)
    assert long.given == MOST_PAGES + 2
    assert long.place is not None
    assert long.place.keys == (MOST_PAGES + 1,)


def test_a_reading_without_a_key_remembers_what_it_gave(cursors: Cursors) -> None:
    later = reading(pages=0).after(page_of(1, 2), None).after(page_of(3), None)
    assert [page.rows for page in later.pages] == [2, 1]
    assert later.given == 3
    assert cursors.keep(ANN, later) is not None


def test_a_reading_that_lost_its_key_after_many_pages_gets_no_handle(cursors: Cursors) -> None:
    long = reading(pages=0)
    for number in range(MOST_PAGES + 1):
        found = page_of(number)
        long = long.after(found, Place.behind(KEYSET, found))
    assert cursors.keep(ANN, long.after(page_of(1), None)) is None


def test_of_very_many_principals_the_one_that_read_longest_ago_loses_its_cursors(cursors: Cursors) -> None:
    everyone = [Principal(UserId("ann"), WorkspaceId(str(number))) for number in range(MOST_PRINCIPALS + 1)]
    handles = [cursors.keep(principal, reading()) or "" for principal in everyone]
    with pytest.raises(Missing):
        cursors.find(everyone[0], handles[0])
    assert cursors.find(everyone[1], handles[1]) == reading()
