"""What is installed is complete: the wheel carries the policies and the migrations, and works from anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_every_policy_and_every_migration(wheel: Path) -> None:
    inside = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/_assets/" in name}
    assert inside == {
        path.name for folder in ("policies", "migrations") for path in (ROOT / folder).iterdir()
    }


def test_the_program_finds_them_in_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from agentdb_mcp import assets;"
        "print(assets.folder('policies'), assets.folder('migrations'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert said.split() == [
        str(tmp_path / "site/agentdb_mcp/_assets" / name) for name in ("policies", "migrations")
    ]


def test_the_wheel_says_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith("licenses/LICENSE")]
