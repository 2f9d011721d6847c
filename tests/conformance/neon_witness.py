"""A pytest plugin: every exchange with the stand-in, in whatever test, is judged by Neon's OpenAPI file.

pytest -p conformance.neon_witness tests/integration/test_neon_provider.py
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from agentdb_mcp.fake_neon.routes import PREFIX
from agentdb_mcp.fake_neon.server import FakeNeon
from agentdb_mcp.fake_neon.wire import Reply, Request
from conformance.neon_tools import document
from conformance.openapi import OpenApi

SEEN: Counter[str] = Counter()


@pytest.fixture(scope="session")
def neon_document() -> OpenApi:
    return OpenApi(document(), PREFIX)


@pytest.fixture(autouse=True)
def judged(neon_document: OpenApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test fails when an exchange in it was not as the file says."""
    problems: list[str] = []

    def witness(_fake: FakeNeon, request: Request, reply: Reply) -> None:
        SEEN["exchanges"] += 1
        what = f"{request.method} {request.path} -> {reply.status}"
        problems.extend(f"{what}: {each}" for each in neon_document.problems(request, reply))

    monkeypatch.setattr(FakeNeon, "witness", witness)
    yield
    assert problems == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"{SEEN['exchanges']} exchanges judged by Neon's OpenAPI file")
