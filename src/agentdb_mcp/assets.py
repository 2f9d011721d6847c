"""Files of ours that are not Python: policies and migrations, and the SQL beside the modules that run it."""

import re
from functools import cache
from pathlib import Path
from typing import Final, Literal, LiteralString, cast

_PACKAGE: Final = Path(__file__).parent
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def folder(name: Literal["policies", "migrations"]) -> Path:
    """In the installed package first, in the checkout else. Raises FileNotFoundError when neither has it."""
    for candidate in (_PACKAGE / "_assets" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the {name} folder is not in this installation of agentdb-mcp")


@cache
def statements(file: Path) -> dict[str, LiteralString]:
    """The statements of a .sql file by the names in their headers: reviewed texts, as good as literals."""
    _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
    return {
        name: cast("LiteralString", text.strip()) for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
