"""What a client asks for and does not take stays bounded in the server: its own peak says so."""

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hosts import Host

MEGABYTE = 1024 * 1024
HUGE = "SELECT n, repeat('x', 50000), repeat('é', 200) FROM (SELECT generate_series(1, 2000000) AS n) AS each"


def peak(host: Host) -> int:
    """The most memory the process ever held (proc(5))."""
    status = Path(f"/proc/{host.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture
def host(home: Path, workspace: str) -> Iterator[Host]:
    with Host(home, "--workspace", workspace, AGENTDB_MAX_ROWS="20") as opened:
        yield opened


def asked_until_nothing_is_taken(host: Host) -> set[str]:
    """Ids of the requests that the server took while none of its answers was read."""
    assert host.process.stdin is not None
    stdin = host.process.stdin.fileno()
    os.set_blocking(stdin, False)
    taken: set[str] = set()
    while select.select([], [stdin], [], 5)[1] and len(taken) < 1_000:
        request_id = f"more-{len(taken)}"
        params = {"name": "query", "arguments": {"sql": HUGE}, "_meta": {"padding": "x" * 3_000}}
        request = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        os.write(stdin, json.dumps(request).encode() + b"\n")  # whole or not at all (pipe(7), PIPE_BUF)
        taken.add(request_id)
    os.set_blocking(stdin, True)
    return taken


def test_a_client_that_reads_nothing_and_asks_for_more_costs_bounded_memory(host: Host) -> None:
    assert host.rows(HUGE)
    before = peak(host)
    taken = asked_until_nothing_is_taken(host)
    assert 10 < len(taken) < 1_000
    assert peak(host) - before < 64 * MEGABYTE
    assert {host.receive()["id"] for _ in taken} == taken
    assert host.rows("SELECT 1") == [[1]]
