"""What is too large to be held is cut or let go while it comes in, to what would have been given anyway."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_mcp.core.results import CutText
from agentdb_mcp.execution import gauge
from agentdb_mcp.execution.cells import Meter
from agentdb_mcp.execution.gauge import Gauge
from agentdb_mcp.execution.sieving import Sieve
from agentdb_mcp.execution.slimming import SLIMMED, Slimmer

Cells = list[str | None]

texts = st.none() | st.text(st.sampled_from("aä日😀"), max_size=400)
rows = st.lists(texts, max_size=5)


def encoded(cells: Cells) -> bytes:
    """A DataRow (PostgreSQL's manual, section "Message Formats")."""
    body = struct.pack(">H", len(cells))
    for cell in cells:
        text = b"" if cell is None else cell.encode()
        body += struct.pack(">i", -1 if cell is None else len(text)) + text
    return b"D" + struct.pack(">i", 4 + len(body)) + body


def decoded(message: bytes) -> Cells:
    assert message[:1] == b"D"
    length, count = struct.unpack_from(">iH", message, 1)
    assert length == len(message) - 1
    cells: Cells = []
    at = 7
    for _ in range(count):
        (size,) = struct.unpack_from(">i", message, at)
        at += 4 + max(size, 0)
        cells.append(None if size < 0 else message[at - size : at].decode())
    assert at == len(message)
    return cells


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(data[:size])
        data = data[size:]
    return [piece for piece in (*found, data) if piece]


def given_of(cells: Cells, longest: int) -> list[object]:
    meter = Meter()
    meter.left, meter.longest = 1_000_000, longest
    return [None if cell is None else meter.text(cell) for cell in cells]


@given(rows, st.lists(st.integers(1, 300)), st.integers(1, 90))
def test_what_is_given_of_a_row_is_the_same_whether_it_was_cut_on_the_way(
    cells: Cells, sizes: list[int], longest: int
) -> None:
    slimmer = Slimmer(longest)
    for piece in pieces(encoded(cells)[5:], sizes):
        slimmer.take(piece)
    assert given_of(decoded(slimmer.message()), longest) == given_of(cells, longest)


def test_of_a_long_cell_the_beginning_and_the_length_are_kept() -> None:
    slimmer = Slimmer(100)
    slimmer.take(encoded(["ä" * 1_000_000, "b"])[5:])
    assert slimmer.size < 1_000
    assert decoded(slimmer.message()) == ["ä" * 202 + f"{SLIMMED}1000000", "b"]


def test_what_is_read_as_a_number_is_never_cut() -> None:
    slimmer = Slimmer(1)
    slimmer.take(encoded(["9" * 250])[5:])
    assert decoded(slimmer.message()) == ["9" * 250]


class Driver:
    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Stream:
    def __init__(self) -> None:
        self.driver = Driver()
        self.hung_up = 0
        self.gauge = Gauge(self.driver, self._hang_up, 100_000_000)  # type: ignore[arg-type]

    def _hang_up(self) -> None:
        self.hung_up += 1


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    monkeypatch.setattr(gauge, "LARGE", 300)
    return Stream()


messages = st.lists(rows.map(encoded) | st.binary(max_size=900).map(lambda text: b"T" + struct.pack(">i", len(text) + 4) + text))  # fmt: skip


@given(messages, st.lists(st.integers(1, 900)))
def test_what_is_not_to_be_cut_goes_on_as_it_came(messages: list[bytes], sizes: list[int]) -> None:
    stream = Stream()
    for piece in pieces(b"".join(messages), sizes):
        stream.gauge.data_received(piece)
    assert stream.driver.received == b"".join(messages)


@given(st.lists(rows.map(encoded), min_size=1), st.lists(st.integers(1, 900)), st.integers(1, 90))
def test_large_rows_among_others_are_cut_wherever_the_pieces_end(
    messages: list[bytes], sizes: list[int], longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gauge, "LARGE", 300)
        stream = Stream()
        stream.gauge.longest = longest
        for piece in pieces(b"".join(messages), sizes):
            stream.gauge.data_received(piece)
    received, at = stream.driver.received, 0
    for message in messages:
        end = at + 1 + struct.unpack_from(">i", received, at + 1)[0]
        assert given_of(decoded(received[at:end]), longest) == given_of(decoded(message), longest)
        at = end
    assert at == len(received)


def test_other_messages_are_never_cut(stream: Stream) -> None:
    stream.gauge.longest = 1
    message = b"E" + struct.pack(">i", 5_004) + b"x" * 5_000
    for piece in pieces(message, [700] * 6):
        stream.gauge.data_received(piece)
    assert stream.driver.received == message


def test_a_row_that_stays_large_is_a_flood(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauge, "LARGEST", 2_000)
    stream.gauge.longest = 10
    for piece in pieces(encoded(["x" * 250] * 20), [400] * 9):
        stream.gauge.data_received(piece)
        if stream.hung_up:
            break
    assert (stream.hung_up, stream.gauge.overrun, stream.driver.received) == (1, True, b"")


def test_the_true_length_counts_characters() -> None:
    [cell] = given_of(["日" * 500 + f"{SLIMMED}70000"], 3)
    assert isinstance(cell, CutText)
    assert (cell, cell.beginning, cell.length) == ("日日日…[+69,997 of 70,000 chars]", "日日日", 70_000)


READY = b"Z" + struct.pack(">i", 5) + b"I"


@given(messages, messages, st.lists(st.integers(1, 900)), st.integers(0, 6))
def test_of_an_answer_the_first_rows_go_on_and_all_that_is_no_row(
    answer: list[bytes], later: list[bytes], sizes: list[int], most: int
) -> None:
    stream = Stream()
    stream.gauge.sieve = Sieve(rows=most, notices=2)
    for piece in pieces(b"".join([*answer, READY, *later]), sizes):
        stream.gauge.data_received(piece)
    first = [n for n, message in enumerate(answer) if message[:1] == b"D"][:most]
    kept = [each for n, each in enumerate(answer) if n in first or each[:1] != b"D"]
    assert stream.driver.received == b"".join([*kept, READY, *later])
    assert stream.gauge.left == 100_000_000 - len(stream.driver.received)


def test_of_notices_too_only_the_first_go_on(stream: Stream) -> None:
    notice, row = b"N" + struct.pack(">i", 9) + b"hello", encoded(["a"])
    stream.gauge.sieve = Sieve(rows=1, notices=2)
    stream.gauge.data_received((notice + row) * 5 + READY + notice)
    assert stream.driver.received == notice + row + notice + READY + notice
