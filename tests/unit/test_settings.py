"""The environment becomes settings, or one error that names everything wrong and shows no value."""

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.secrets import ConnectionUri, KeyText
from agentdb_mcp.settings import ROOT_HOME, names, read_settings

ROOT = Path(__file__).parents[2]
CANARY = "c4n4ry-hunter2"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(("AGENTDB_", "NEON_", "XDG_")):
            monkeypatch.delenv(name)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Misconfigured:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as caught:
        read_settings()
    assert caught.value.code == "settings_invalid"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert CANARY not in str(caught.value)
    return caught.value


def test_nothing_needs_to_be_set() -> None:
    settings = read_settings()
    assert settings.control_url is None
    assert settings.provider == "local"
    assert settings.encryption_key is None
    assert settings.old_encryption_keys == ()
    assert settings.caps == Caps(rows=1_000, bytes=1_000_000, seconds=30.0, tokens=10_000, cell=4_000)
    assert settings.max_concurrent == 4
    assert settings.log_level == "warning"
    assert settings.key_file == settings.home / "encryption.key"


def test_root_has_a_home_that_postgres_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read_settings().home == ROOT_HOME


def test_everyone_else_has_a_home_in_the_users_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings().home.is_relative_to(tmp_path)
    assert read_settings().home.name == "agentdb"


def test_everything_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "AGENTDB_HOME": "here",
        "AGENTDB_CONTROL_URL": "postgresql://u:p@h/d",
        "AGENTDB_PROVIDER": "Server",
        "NEON_CONNECTION_ENCRYPTION_KEY": "ab" * 32,
        "AGENTDB_OLD_ENCRYPTION_KEYS": " one, two ,",
        "AGENTDB_MAX_ROWS": "5",
        "AGENTDB_MAX_RESULT_BYTES": "2000",
        "AGENTDB_MAX_RESULT_TOKENS": "300",
        "AGENTDB_MAX_CELL_CHARS": "90",
        "AGENTDB_STATEMENT_TIMEOUT_SECONDS": "0.5",
        "AGENTDB_MAX_CONCURRENT": "2",
        "AGENTDB_LOG_LEVEL": "DEBUG",
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.home == tmp_path / "here"
    assert settings.control_url == ConnectionUri("postgresql://u:p@h/d")
    assert settings.provider == "server"
    assert settings.encryption_key == KeyText("ab" * 32)
    assert settings.old_encryption_keys == (KeyText("one"), KeyText("two"))
    assert settings.caps == Caps(rows=5, bytes=2_000, seconds=0.5, tokens=300, cell=90)
    assert settings.max_concurrent == 2
    assert settings.log_level == "debug"


def test_databases_are_made_on_a_server_of_ones_own_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGENTDB_CONTROL_URL", "postgresql://u:p@h/d")
    assert read_settings().provider == "server"


def test_a_postgres_of_ones_own_has_no_generated_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTDB_CONTROL_URL", "postgresql://u:p@h/d")
    assert read_settings().key_file is None


def test_an_empty_value_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names():
        monkeypatch.setenv(name, "")
    settings = read_settings()
    assert settings.control_url is None
    assert settings.encryption_key is None
    assert settings.max_rows == 1_000


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("AGENTDB_MAXROWS", "AGENTDB_MAX_ROWS"),
        ("AGENTDB_CONTROL_URI", "AGENTDB_CONTROL_URL"),
        ("agentdb_home", "AGENTDB_HOME"),
        ("AGENTDB_ENCRYPTION_KEYS", "AGENTDB_OLD_ENCRYPTION_KEYS"),
    ],
)
def test_a_name_that_is_nearly_right_is_corrected(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    error = refusal(monkeypatch, **{name: CANARY})
    assert f"{name} is not a setting, did you mean {near}?" in error.message


def test_a_name_that_is_nowhere_near_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "AGENTDB_ZZZZZZZZ is not a setting." in refusal(monkeypatch, AGENTDB_ZZZZZZZZ="1").message


def test_names_of_others_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEON_SOMETHING", "1")
    monkeypatch.setenv("MAX_ROWS", "7")
    assert read_settings().max_rows == 1_000


def test_all_problems_are_told_at_once_and_no_value_is(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(
        monkeypatch,
        AGENTDB_MAX_ROWS=CANARY,
        AGENTDB_MAX_RESULT_BYTES="1",
        AGENTDB_STATEMENT_TIMEOUT_SECONDS="-1",
        AGENTDB_LOG_LEVEL=CANARY,
        AGENTDB_PROVIDER=CANARY,
        AGENTDB_TYPO=CANARY,
        AGENTDB_CONTROL_URL=CANARY,
        NEON_CONNECTION_ENCRYPTION_KEY=CANARY,
    )
    for name in (
        "AGENTDB_MAX_ROWS",
        "AGENTDB_MAX_RESULT_BYTES",
        "AGENTDB_STATEMENT_TIMEOUT_SECONDS",
        "AGENTDB_LOG_LEVEL",
        "AGENTDB_PROVIDER",
        "AGENTDB_TYPO",
    ):
        assert name in error.message


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "nan", "1000001", "many"])
def test_a_row_cap_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "AGENTDB_MAX_ROWS: " in refusal(monkeypatch, AGENTDB_MAX_ROWS=value).message


@pytest.mark.parametrize("value", ["0", "nan", "inf", "3601"])
def test_a_timeout_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    error = refusal(monkeypatch, AGENTDB_STATEMENT_TIMEOUT_SECONDS=value)
    assert "AGENTDB_STATEMENT_TIMEOUT_SECONDS: " in error.message


def test_a_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "AGENTDB_HOME: " in refusal(monkeypatch, AGENTDB_HOME=f"~{CANARY}/x").message


def test_a_server_provider_without_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "AGENTDB_CONTROL_URL" in refusal(monkeypatch, AGENTDB_PROVIDER="server").message


def test_the_embedded_postgres_and_another_control_plane_are_refused_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = refusal(monkeypatch, AGENTDB_PROVIDER="local", AGENTDB_CONTROL_URL="postgresql://u:p@h/d")
    assert "the embedded Postgres" in refused.message


def test_settings_do_not_change_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENTDB_CONTROL_URL", "NEON_CONNECTION_ENCRYPTION_KEY", "AGENTDB_OLD_ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, CANARY)
    settings = read_settings()
    assert CANARY not in repr(settings)
    assert CANARY not in str(settings.model_dump())
    with pytest.raises(ValidationError):
        settings.max_rows = 5
    assert settings.max_rows == 1_000


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    assert documented == names()


def test_the_example_file_names_only_settings() -> None:
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)) <= names()


def test_an_environment_that_is_given_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENTDB_MAX_ROWS", "5")
    settings = read_settings({"AGENTDB_HOME": str(tmp_path)})
    assert settings.home == tmp_path
    assert settings.max_rows == 1_000


def test_names_of_hosts_and_pages_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTDB_HTTP_ALLOWED_HOSTS", " db.example.com , other.example.com:8443,")
    assert read_settings().http_allowed_hosts == ("db.example.com", "other.example.com:8443")
    for wrong in ("*.example.com", "https://app.example.com/"):
        assert "whole names" in refusal(monkeypatch, AGENTDB_HTTP_ALLOWED_ORIGINS=wrong).message
