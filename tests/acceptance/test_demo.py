"""`agentdb demo` from an installed wheel keeps every claim, and the README shows what it says."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agentdb_mcp.demo.stage import Programme

README = Path(__file__).parents[2] / "README.md"


def without_measures(text: str) -> list[str]:
    """The lines without what differs between runs: times, versions, boundaries, counts of characters."""
    text = re.sub(r"\[[\d,]+ ms\]|in \d+\.\d s$", "", text, flags=re.MULTILINE)
    text = re.sub(r"data [0-9a-f]+>", "data>", text)
    text = re.sub(r"PostgreSQL \d+\.\d+|\d+ secrets|[\d,]+ characters", "", text)
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.fixture(scope="module")
def played(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo says, played from another folder than the sources'."""
    folder = tmp_path_factory.mktemp("elsewhere")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "site")}
    where = [sys.executable, "-c", "import agentdb_mcp; print(agentdb_mcp.__file__)"]
    found = subprocess.run(where, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(folder / "site"))
    done = subprocess.run(
        [sys.executable, "-m", "agentdb_mcp", "demo"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_claim_holds(played: str) -> None:
    assert re.search(r"^\d+ claims held, 0 failed", played, re.MULTILINE)
    assert "  NO " not in played


def test_the_readme_shows_what_the_demo_says(played: str) -> None:
    shown = README.read_text().split("<!-- demo -->\n```\n")[1].split("\n```\n<!-- /demo -->")[0]
    assert without_measures(shown) == without_measures(played)


def test_a_claim_that_fails_is_counted_and_fails_the_demo() -> None:
    out = io.StringIO()
    programme = Programme(out)
    programme.claim("kept", holds=True)
    programme.claim("broken", holds=False, shows="why")
    assert programme.close() == 1
    assert "NO  broken" in out.getvalue()
    assert "1 claims held, 1 failed" in out.getvalue()
