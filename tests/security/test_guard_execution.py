"""The page on what the roles stop by themselves says what a real PostgreSQL does."""

import re
from collections import Counter

import pytest

from support.guard_execution import PAGE, RIGHTS, RUNS, cases, outcomes, table


def _counts(row: str) -> tuple[str, list[int]]:
    family, *cells = [cell.strip() for cell in row.strip("| \n").split("|")]
    return family, [int(cell) for cell in cells]


def test_the_page_covers_the_corpus():
    rows = dict(map(_counts, re.findall(r"^\| .* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1:]))
    families = Counter(case["family"] for case in cases())
    assert {family: counts[0] for family, counts in rows.items()} == {**families, "all": families.total()}
    assert all(sum(counts[1:4]) == sum(counts[4:]) == counts[0] for counts in rows.values())


@pytest.mark.fuzz
async def test_the_page_says_what_a_server_does(admin_uri):
    """A busy machine may turn a refusal into a time limit, so a few cases may differ."""
    found = await outcomes(admin_uri)
    page = PAGE.read_text(encoding="utf-8")
    now = dict(map(_counts, table(found).splitlines()))
    then = dict(map(_counts, re.findall(r"^\| .* \|$", page, re.MULTILINE)[1:]))
    apart = {family: (now[family], then[family]) for family in then if now[family] != then[family]}
    moved = sum(abs(one - other) for pair in apart.values() for one, other in zip(*pair, strict=True))
    assert moved <= len(found) * 0.02, apart
    roles = {role for result in found.values() for role in result}
    assert roles == {"writer", "reader"}
    harmless = {"copy", "transactions", "session", "sleep", "lexical"}
    families = {case["id"]: case["family"] for case in cases()}
    assert not [
        i for i, result in found.items() if families[i] == "large objects" and result["reader"] == RUNS
    ]
    assert any(result["reader"] == RIGHTS for i, result in found.items() if families[i] not in harmless)
