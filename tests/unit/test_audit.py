"""A chain of records: whatever is done to it between its beginning and its end is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.audit import Chain, Fault, Link, Record, Verifier, genesis, hash_of
from agentdb_mcp.core.guard import fingerprint

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)

texts = st.text(max_size=20)
numbers = st.integers(0, 2**63 - 1)
records = st.builds(
    Record,
    tenant=st.just("ada"),
    at=st.integers(0, 10**15).map(lambda micros: MIDNIGHT + timedelta(microseconds=micros)),
    actor=texts,
    tool=texts,
    outcome=texts,
    workspace=st.none() | texts,
    kind=st.none() | texts,
    database=st.none() | texts,
    statement_class=st.none() | texts,
    fingerprint=st.none() | st.binary(max_size=8),
    digest=st.none() | st.binary(max_size=32),
    statement=st.none() | texts,
    reason=st.none() | texts,
    rows=st.none() | numbers,
    size=st.none() | numbers,
    micros=st.none() | numbers,
    cost_micros=st.none() | numbers,
    request=st.none() | st.binary(max_size=8),
)
CHANGES: dict[str, Any] = {
    "at": lambda value: value + timedelta(microseconds=1),
    **dict.fromkeys(("actor", "tool", "outcome"), lambda value: value + "x"),
    **dict.fromkeys(
        ("workspace", "kind", "database", "statement_class", "statement", "reason"),
        lambda value: "" if value is None else None,
    ),
    **dict.fromkeys(("fingerprint", "digest", "request"), lambda value: b"" if value is None else None),
    **dict.fromkeys(("rows", "size", "micros", "cost_micros"), lambda value: 0 if value is None else None),
}


def chained(entries: list[Record]) -> tuple[Chain, list[Link]]:
    """As `append` would have made it."""
    links, before = list[Link](), genesis("ada")
    for seq, entry in enumerate(entries, 1):
        before = hash_of(seq, entry, before)
        links.append(Link(seq, entry, before))
    return Chain("ada", len(links), before, 0, genesis("ada")), links


def plain(count: int) -> list[Record]:
    return [Record("ada", MIDNIGHT, "agent", "query", "ok", micros=each) for each in range(count)]


def faults(chain: Chain, links: list[Link], expected: tuple[int, bytes] | None = None) -> tuple[Fault, ...]:
    verifier = Verifier(chain, expected)
    for link in links:
        verifier.follow(link)
    return verifier.end()


def seqs(found: Any) -> list[int]:
    return [fault.seq for fault in found]


@given(st.lists(records, max_size=8))
def test_a_chain_as_it_was_appended_shows_no_fault(entries: list[Record]) -> None:
    assert list(faults(*chained(entries))) == []


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_any_single_value_that_was_changed_is_found_at_its_record(
    entries: list[Record], data: st.DataObject
) -> None:
    chain, links = chained(entries)
    place = data.draw(st.integers(0, len(links) - 1))
    name = data.draw(st.sampled_from(sorted(CHANGES)))
    record = links[place].record
    changed = replace(record, **{name: CHANGES[name](getattr(record, name))})
    links[place] = replace(links[place], record=changed)
    assert seqs(faults(chain, links)) == [place + 1]


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_any_run_of_records_that_was_removed_is_found(entries: list[Record], data: st.DataObject) -> None:
    chain, links = chained(entries)
    start = data.draw(st.integers(0, len(links) - 1))
    stop = data.draw(st.integers(start + 1, len(links)))
    assert seqs(faults(chain, links[:start] + links[stop:])) == [start + 1]


@given(st.lists(records, min_size=2, max_size=8, unique=True), st.data())
def test_any_two_records_that_changed_places_are_found(entries: list[Record], data: st.DataObject) -> None:
    chain, links = chained(entries)
    one, other = data.draw(st.lists(st.integers(0, len(links) - 1), min_size=2, max_size=2, unique=True))
    there, here = links[one], links[other]
    links[one], links[other] = replace(here, seq=one + 1), replace(there, seq=other + 1)
    assert {one + 1, other + 1} <= set(seqs(faults(chain, links)))


@given(records, st.integers(0, 4))
def test_a_record_that_was_slipped_in_is_found_wherever_it_stands(entry: Record, place: int) -> None:
    chain, links = chained(plain(4))
    before = links[place - 1].hash if place else chain.cut_hash
    forged = Link(place + 1, entry, hash_of(place + 1, entry, before))
    later = [replace(link, seq=link.seq + 1) for link in links[place:]]
    assert seqs(faults(chain, [*links[:place], forged, *later]))


@given(st.lists(texts, min_size=2, max_size=2, unique=True))
def test_values_that_are_split_otherwise_do_not_hash_alike(parts: list[str]) -> None:
    one, other = parts
    first = Record("ada", MIDNIGHT, one + other, "", "")
    second = Record("ada", MIDNIGHT, one, other, "")
    assert (hash_of(1, first, b"") == hash_of(1, second, b"")) == (other == "")


def test_a_chain_that_was_pruned_goes_on_from_its_cut() -> None:
    chain, links = chained(plain(9))
    cut = replace(chain, cut_seq=4, cut_hash=links[3].hash)
    assert list(faults(cut, links[4:])) == []
    assert seqs(faults(cut, links[5:])) == [5]
    assert seqs(faults(replace(cut, cut_hash=b""), links[4:])) == [5]
    assert list(faults(replace(cut, cut_seq=9, cut_hash=chain.hash), [])) == []


def test_an_end_that_was_cut_off_is_found_by_the_head() -> None:
    chain, links = chained(plain(5))
    assert list(faults(chain, links[:3])) == [Fault(4, "records 4 to 5 are missing at the end")]
    assert list(faults(replace(chain, seq=4), links)) == [Fault(5, "record 5 is beyond the end")]
    assert seqs(faults(replace(chain, hash=b"?"), links)) == [5]


def test_an_end_that_was_cut_off_with_its_head_is_found_by_a_hash_that_was_kept() -> None:
    chain, links = chained(plain(5))
    anchor = (chain.seq, chain.hash)
    shorter = replace(chain, seq=3, hash=links[2].hash)
    assert list(faults(shorter, links[:3])) == []
    assert list(faults(shorter, links[:3], anchor)) == [
        Fault(5, "record 5, whose hash was kept, is not there")
    ]


def test_a_chain_that_was_made_anew_is_found_by_a_hash_that_was_kept() -> None:
    chain, _ = chained(plain(5))
    anew, links = chained([replace(each, outcome="ok!") for each in plain(7)])
    assert list(faults(anew, links)) == []
    assert seqs(faults(anew, links, (chain.seq, chain.hash))) == [5]


def test_a_hash_that_was_kept_holds_also_when_it_is_the_cuts_and_not_beyond() -> None:
    chain, links = chained(plain(9))
    cut = replace(chain, cut_seq=4, cut_hash=links[3].hash)
    for seq in (4, 5, 9):
        assert list(faults(cut, links[4:], (seq, links[seq - 1].hash))) == []
    assert seqs(faults(cut, links[4:], (4, b"?"))) == [4]
    assert list(faults(cut, links[4:], (2, links[1].hash))) == [
        Fault(2, "record 2 was pruned: the hash kept of it proves nothing any more")
    ]


def test_another_users_chain_does_not_pass_for_this_ones() -> None:
    chain, links = chained(plain(2))
    assert seqs(faults(replace(chain, tenant="ben"), links)) == [0]


def test_the_anchor_is_the_number_and_the_hash_of_the_last_record() -> None:
    chain, links = chained(plain(2))
    assert chain.anchor == f"2:{links[1].hash.hex()}"


def test_a_fingerprint_tells_forms_apart_and_not_constants() -> None:
    first = fingerprint("SELECT * FROM t WHERE secret = 'a' AND n = 1")
    assert first == fingerprint("select *  from t where secret='b' and n=2 -- c")
    assert first is not None
    assert len(first) == 8
    assert first != fingerprint("SELECT * FROM u WHERE secret = 'a' AND n = 1")


def test_what_cannot_be_read_has_no_fingerprint() -> None:
    assert fingerprint("SELEC 1") is None
