"""Where the policies and the migrations are: in the installed package first, in the checkout else."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def folder(name: Literal["policies", "migrations"]) -> Path:
    """The folder of that name. Raises FileNotFoundError when the installation is broken."""
    for candidate in (_PACKAGE / "_assets" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the {name} folder is not in this installation of agentdb-mcp")
