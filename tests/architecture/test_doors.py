"""Dangerous acts have one file each. A new door must be added here, on purpose, where a reviewer sees it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "agentdb_mcp"

DOORS = {
    "reveal": {
        "execution/pools.py",
        "store/cipher.py",
        "store/connect.py",
        "providers/server.py",
        "providers/neon_session.py",
        "providers/neon_http.py",  # the API key, into the header
        "fake_neon/postgres.py",
        "core/tokens.py",  # a bearer token, to hash it
        "commands/tokens.py",  # a new one, shown to whoever made it
        "entrypoints/http/revealing.py",  # for hosts whose token was made for that
        "demo/exposure.py",  # to look for it everywhere
        "demo/intruder.py",  # to try it where it must not work
    },
    "ApprovedSql": {"core/guard/decision.py"},
    "Principal": {"services/access.py"},
    "Target": {"services/access.py"},
    "Caller": {"services/access.py"},
    "ConnectionUri": {
        "store/cipher.py",
        "providers/server.py",
        "providers/embedded.py",
        "providers/neon_api.py",
        "providers/neon_session.py",
        "settings.py",
    },
}
"""Called name -> the files that may call it."""

ENVIRONMENT_READERS = {"settings.py"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("act", sorted(DOORS))
def test_a_dangerous_act_happens_only_behind_its_door(act: str) -> None:
    found = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == act
    }
    assert found <= DOORS[act], f"{act} is called in {sorted(found - DOORS[act])}"


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= ENVIRONMENT_READERS


def test_no_module_changes_globals() -> None:
    assert [name for name, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.Global)] == []
