"""Log lines are JSON on stderr and hold no secret, whoever wrote them."""

import json
import logging
from collections.abc import Iterator

import pytest

from agentdb_mcp.logs import configure

KEY = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("connecting to postgresql://agent:hunter2@db/app?sslmode=require", "hunter2"),
        ("POSTGRES://agent:hunter2@db", "hunter2"),
        (f"key is {KEY}", KEY),
    ],
)
def test_a_secret_in_a_line_is_masked(capsys: pytest.CaptureFixture[str], said: str, secret: str) -> None:
    configure("warning")
    logging.getLogger("anything").warning("%s", said)
    line = json.loads(capsys.readouterr().err)
    assert secret not in json.dumps(line)
    assert "***" in line["event"]


def test_a_traceback_shows_places_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")
    local = "hunter2"
    try:
        int(f"broken at postgresql://agent:{local}@db/app")
    except ValueError:
        logging.getLogger("anything").exception("it broke")
    said = capsys.readouterr().err
    assert json.loads(said)["event"] == "it broke"
    assert local not in said


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("error")
    logging.getLogger("anything").warning("quiet")
    assert capsys.readouterr().err == ""
