"""Lines in, frames out, over real pipes: whole, bounded, and without waiting for a client that does not read."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentdb_mcp.entrypoints.mcp.wire import Descriptors, TooLong, Wire

MORE_THAN_A_PIPE_HOLDS = 4 * 1024 * 1024


@dataclass
class Client:
    """The other ends of the two pipes."""

    writing: int
    reading: int
    wire_ends: Descriptors

    def hang_up(self) -> None:
        os.close(self.writing)

    async def receives(self, length: int) -> bytes:
        return await asyncio.to_thread(self._read, length)

    def _read(self, length: int) -> bytes:
        received = bytearray()
        while len(received) < length and (chunk := os.read(self.reading, length - len(received))):
            received += chunk
        return bytes(received)


def _closed(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return


@pytest.fixture
def client() -> Iterator[Client]:
    with ExitStack() as stack:
        ends = [*os.pipe(), *os.pipe()]
        for fd in ends:
            stack.callback(_closed, fd)
        yield Client(
            writing=ends[1], reading=ends[2], wire_ends=Descriptors(reading=ends[0], writing=ends[3])
        )


async def within(awaitable: object, seconds: float = 10) -> object:
    return await asyncio.wait_for(awaitable, seconds)  # type: ignore[arg-type]


async def test_lines_come_whole_however_they_were_cut_on_the_way(client: Client) -> None:
    wire = Wire(client.wire_ends)
    reading = asyncio.create_task(wire.read_line())
    for piece in (b"fir", b"st\nsec", b"ond\n", b"\n", b"third\n"):
        os.write(client.writing, piece)
        await asyncio.sleep(0)
    assert await within(reading) == b"first"
    assert [await within(wire.read_line()) for _ in range(3)] == [b"second", b"", b"third"]
    await wire.aclose()


async def test_the_end_of_the_stream_is_none_and_a_half_line_before_it_is_dropped(client: Client) -> None:
    wire = Wire(client.wire_ends)
    os.write(client.writing, b"whole\nhalf")
    client.hang_up()
    assert await within(wire.read_line()) == b"whole"
    assert await within(wire.read_line()) is None
    assert await within(wire.read_line()) is None
    await wire.aclose()


async def test_a_line_above_the_bound_is_thrown_away_and_the_next_one_is_read(client: Client) -> None:
    wire = Wire(client.wire_ends, longest=100_000)
    line = b"head" + b"x" * 3_000_000 + b"tail"
    sending = asyncio.create_task(asyncio.to_thread(_send, client.writing, line + b"\nnext\n"))
    dropped = await within(wire.read_line())
    assert isinstance(dropped, TooLong)
    assert dropped.length == len(line)
    assert dropped.head.startswith(b"head")
    assert dropped.tail.endswith(b"tail")
    assert len(dropped.head) + len(dropped.tail) <= 2_000
    assert await within(wire.read_line()) == b"next"
    await sending
    await wire.aclose()


async def test_the_bound_is_exact(client: Client) -> None:
    wire = Wire(client.wire_ends, longest=10)
    os.write(client.writing, b"x" * 10 + b"\n" + b"y" * 11 + b"\nnext\n")
    assert await within(wire.read_line()) == b"x" * 10
    assert await within(wire.read_line()) == TooLong(b"y" * 11, b"y" * 11, 11)
    assert await within(wire.read_line()) == b"next"
    await wire.aclose()


async def test_the_stream_may_end_in_a_line_that_is_too_long(client: Client) -> None:
    wire = Wire(client.wire_ends, longest=10)
    os.write(client.writing, b"x" * 1_000)
    client.hang_up()
    assert await within(wire.read_line()) is None
    await wire.aclose()


async def test_stopping_ends_a_read_that_waits(client: Client) -> None:
    wire = Wire(client.wire_ends)
    reading = asyncio.create_task(wire.read_line())
    await asyncio.sleep(0)
    wire.stop()
    assert await within(reading) is None
    await wire.aclose()


async def test_frames_larger_than_the_pipe_arrive_whole_and_in_order(client: Client) -> None:
    wire = Wire(client.wire_ends)
    frames = [bytes([65 + i]) * MORE_THAN_A_PIPE_HOLDS + b"\n" for i in range(3)]
    writing = [asyncio.create_task(wire.write(frame)) for frame in frames]
    received = await within(client.receives(sum(map(len, frames))), 30)
    assert received == b"".join(frames)
    await asyncio.gather(*writing)
    await wire.aclose()


async def test_a_write_cancelled_half_way_does_not_tear_its_frame(client: Client) -> None:
    wire = Wire(client.wire_ends)
    frame = b"a" * MORE_THAN_A_PIPE_HOLDS + b"\n"
    writing = asyncio.create_task(wire.write(frame))
    await asyncio.sleep(0)
    writing.cancel()
    following = asyncio.create_task(wire.write(b"b\n"))
    assert await within(client.receives(len(frame) + 2), 30) == frame + b"b\n"
    await following
    assert writing.cancelled()
    await wire.aclose()


async def test_nothing_is_read_from_a_client_that_does_not_take_its_answers(client: Client) -> None:
    wire = Wire(client.wire_ends)
    writing = asyncio.create_task(wire.write(b"a" * MORE_THAN_A_PIPE_HOLDS))
    await asyncio.sleep(0)
    os.write(client.writing, b"next\n")
    reading = asyncio.create_task(wire.read_line())
    await asyncio.wait([reading], timeout=0.05)
    assert not reading.done()
    await client.receives(MORE_THAN_A_PIPE_HOLDS)
    assert await within(reading) == b"next"
    await writing
    await wire.aclose()


async def test_a_client_that_closed_its_end_breaks_the_write_and_ends_the_stream(client: Client) -> None:
    wire = Wire(client.wire_ends)
    reading = asyncio.create_task(wire.read_line())
    await asyncio.sleep(0)
    os.close(client.reading)
    with pytest.raises(BrokenPipeError):
        await within(wire.write(b"a\n"))
    assert await within(reading) is None
    with pytest.raises(BrokenPipeError):
        await within(wire.write(b"b\n"))
    await wire.aclose()


async def test_a_client_that_vanishes_half_way_through_a_frame_frees_its_writer(client: Client) -> None:
    wire = Wire(client.wire_ends)
    writing = asyncio.create_task(wire.write(b"a" * MORE_THAN_A_PIPE_HOLDS))
    await asyncio.sleep(0)
    os.close(client.reading)
    with pytest.raises(BrokenPipeError):
        await within(writing)
    await wire.aclose()


async def test_what_was_sent_before_a_stop_is_not_read_after_it(client: Client) -> None:
    wire = Wire(client.wire_ends)
    os.write(client.writing, b"one\ntwo\n")
    assert await within(wire.read_line()) == b"one"
    wire.stop()
    assert await within(wire.read_line()) is None
    await wire.aclose()


async def test_a_stop_frees_a_reader_whose_client_takes_nothing(client: Client) -> None:
    wire = Wire(client.wire_ends)
    wire.stop()
    writing = asyncio.create_task(wire.write(b"a" * MORE_THAN_A_PIPE_HOLDS))
    await asyncio.sleep(0)
    assert await within(wire.read_line()) is None
    with pytest.raises(BrokenPipeError):
        await within(writing)
    await wire.aclose()


async def test_closing_does_not_wait_for_ever_for_a_client_that_takes_nothing(client: Client) -> None:
    wire = Wire(client.wire_ends)
    writing = asyncio.create_task(wire.write(b"a" * MORE_THAN_A_PIPE_HOLDS))
    await asyncio.sleep(0)
    await within(wire.aclose())
    with pytest.raises(BrokenPipeError):
        await within(writing)


async def test_the_descriptor_is_left_as_it_was_found(client: Client) -> None:
    before = fcntl.fcntl(client.wire_ends.writing, fcntl.F_GETFL)
    wire = Wire(client.wire_ends)
    assert fcntl.fcntl(client.wire_ends.writing, fcntl.F_GETFL) & os.O_NONBLOCK
    await wire.aclose()
    assert fcntl.fcntl(client.wire_ends.writing, fcntl.F_GETFL) == before


async def test_files_serve_as_well_as_pipes(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\n")
    with (tmp_path / "in").open("rb") as reading, (tmp_path / "out").open("wb") as writing:
        wire = Wire(Descriptors(reading.fileno(), writing.fileno()))
        assert [await within(wire.read_line()) for _ in range(3)] == [b"one", b"two", None]
        await within(wire.write(b"a" * 1_000_000 + b"\n"))
        await wire.aclose()
    assert (tmp_path / "out").stat().st_size == 1_000_001


def _send(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
