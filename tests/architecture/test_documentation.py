"""The reference pages and the program say the same."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from agentdb_mcp.cli import cli

ROOT = Path(__file__).parents[2]


def commands(group: Any, path: tuple[str, ...] = ()) -> set[str]:
    found: set[str] = set()
    for name, command in group.commands.items():
        here = (*path, name)
        found |= commands(command, here) if hasattr(command, "commands") else {" ".join(here)}
    return found


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    documented = set(re.findall(r"^\| `agentdb ([a-z-]+(?: [a-z]+)?)", page, re.MULTILINE))
    assert documented == commands(typer.main.get_command(cli))


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == explained
