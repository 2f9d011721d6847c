"""The key file is made once, stays private, and changes only as a whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.store import open_keys
from agentdb_mcp.store.cipher import KeyRing, Place
from agentdb_mcp.store.keys import KeyFile

PLACE = Place("t", "r", "c", "o")
URI = ConnectionUri("postgresql://h/d")
ONE, TWO, THREE = "1a" * 32, "2b" * 32, "3c" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "encryption.key"


def written(path: Path, *lines: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(mode)
    return path


def key_id(text: str) -> str:
    return KeyRing(KeyText(text)).current_id


def refused(path: Path) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        KeyFile(path).ring()
    assert caught.value.code == "encryption_key_malformed"
    assert not re.search(r"[0-9a-f]{16}", str(caught.value))
    return caught.value


def test_a_missing_file_is_made_private_and_with_one_key(path: Path) -> None:
    ring = KeyFile(path).ring()
    assert path.stat().st_mode & 0o777 == 0o600
    (line,) = path.read_text().splitlines()
    assert re.fullmatch("[0-9a-f]{64}", line)
    assert key_id(line) == ring.current_id
    assert [each.name for each in path.parent.iterdir()] == ["encryption.key"]


def test_a_loose_umask_does_not_loosen_the_file(path: Path) -> None:
    previous = os.umask(0)
    try:
        KeyFile(path).ring()
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_that_is_there_is_used(path: Path) -> None:
    written(path, ONE, TWO)
    keys = KeyFile(path)
    assert keys.ring().current_id == key_id(ONE)
    assert keys.ring().open(KeyRing(KeyText(TWO)).seal(URI, PLACE), PLACE) == URI


OPENER = """
import sys
from pathlib import Path
from agentdb_mcp.store.keys import KeyFile
sys.stdin.readline()
print(KeyFile(Path(sys.argv[1])).ring().current_id)
"""


def test_many_processes_at_once_make_one_key(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert ids == {KeyFile(path).ring().current_id}
    assert [each.name for each in path.parent.iterdir()] == ["encryption.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_open_to_others_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    error = refused(written(path, ONE, mode=mode))
    assert "other users" in error.message
    assert error.hint == f"Run: chmod 600 {path}"


@pytest.mark.parametrize(
    "lines", [(), ("",), ("secret-not-hex",), (ONE[:-1],), (ONE, "zz" * 32), ("\N{SNOWMAN}",)]
)
def test_a_file_that_holds_anything_but_keys_is_refused(path: Path, lines: tuple[str, ...]) -> None:
    assert "secret" not in str(refused(written(path, *lines)))


def test_a_link_or_a_folder_in_its_place_is_refused(path: Path, tmp_path: Path) -> None:
    elsewhere = written(tmp_path / "elsewhere.key", ONE)
    path.parent.mkdir()
    path.symlink_to(elsewhere)
    assert "plain file" in refused(path).message
    path.unlink()
    path.mkdir(mode=0o700)
    assert "plain file" in refused(path).message


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be" in refused(tmp_path / "file" / "encryption.key").message


def test_a_rotation_elsewhere_is_seen_by_a_process_that_runs(path: Path) -> None:
    running, rotating = KeyFile(path), KeyFile(path)
    before = running.ring()
    sealed = before.seal(URI, PLACE)
    assert rotating.begin()
    assert running.ring().current_id != before.current_id
    assert running.ring().open(sealed, PLACE) == URI
    assert rotating.finish() == 1
    with pytest.raises(Misconfigured) as caught:
        running.ring().open(sealed, PLACE)
    assert caught.value.code == "encryption_key_unknown"


def test_an_unfinished_rotation_is_gone_on_with(path: Path) -> None:
    written(path, ONE, TWO)
    assert not KeyFile(path).begin()
    assert path.read_text().split() == [ONE, TWO]
    assert KeyFile(path).finish() == 1
    assert path.read_text().split() == [ONE]
    assert KeyFile(path).finish() == 0


def test_a_new_key_stands_before_the_old_one_and_the_file_stays_private(path: Path) -> None:
    written(path, ONE)
    assert KeyFile(path).begin()
    new, old = path.read_text().split()
    assert (old, len(new)) == (ONE, 64)
    assert new != old
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_draft_that_a_crash_left_behind_is_removed_by_the_next_rotation(path: Path) -> None:
    written(path, ONE)
    written(path.with_name(".encryption-key-0123456789abcdef"), THREE, ONE)
    KeyFile(path).begin()
    assert [each.name for each in path.parent.iterdir()] == ["encryption.key"]


def test_keys_of_the_environment_come_before_the_file(path: Path) -> None:
    keys = open_keys(KeyText(ONE), [KeyText(TWO)], path)
    assert keys.ring().current_id == key_id(ONE)
    assert not path.exists()
    assert not keys.begin()
    assert keys.finish() == 0


def test_older_keys_of_the_environment_help_the_file_to_open(path: Path) -> None:
    keys = open_keys(None, [KeyText(TWO)], path)
    assert keys.ring().open(KeyRing(KeyText(TWO)).seal(URI, PLACE), PLACE) == URI


def test_without_a_key_and_a_place_for_one_it_is_told_what_to_set() -> None:
    with pytest.raises(Misconfigured) as caught:
        open_keys(None, (), None)
    assert caught.value.code == "encryption_key_missing"
    assert "NEON_CONNECTION_ENCRYPTION_KEY" in caught.value.message
    assert "openssl rand -hex 32" in caught.value.hint
