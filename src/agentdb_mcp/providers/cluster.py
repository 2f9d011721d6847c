"""A data directory of the embedded server: made whole or not at all, configured anew at every start."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.identifiers import quote_identifier, quote_literal
from agentdb_mcp.providers.binaries import Binaries
from agentdb_mcp.providers.scram import scram_verifier
from agentdb_mcp.providers.service_user import ServiceUser

ADMIN = "agentdb_admin"
CONTROL = "agentdb_control"
"""Role and database of the control plane."""

PLAIN: Final = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"

CHILD_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin"}
"""All the server is told: no PG* variable of the caller's reaches it, and nothing secret is in it."""

NO_SPACE = "No space left on device"

SETTINGS = """\
# Written by agentdb at every start: edits are lost.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
# Each process that serves an agent has one that listens, up to four for the control plane, and its pools'.
max_connections = 500
password_encryption = 'scram-sha-256'

# One machine, no replicas; a prepared transaction would outlive its client and block DROP DATABASE.
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
max_prepared_transactions = 0

shared_buffers = '32MB'
max_wal_size = '256MB'
min_wal_size = '32MB'
jit = off

# The only way to end a query whose client left; statement_timeout can be swallowed by procedural code.
client_connection_check_interval = '1s'
idle_in_transaction_session_timeout = '60s'

# Agents' SQL and values stay out of the log: errors are theirs, and told to them. LOG would let in whatever
# they RAISE or trace, in any amount, also from the index expressions that autovacuum computes. FATAL is the
# server's own, and says why it does not start.
log_min_messages = fatal
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_autovacuum_min_duration = -1
log_checkpoints = off
log_lock_waits = off
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'

timezone = 'UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
"""

ACCESS_RULES = """\
# Written by agentdb at every start. No replication, no other address, never without a password.
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Passwords:
    """Of the two roles a new cluster starts with."""

    admin: str
    control: str

    def __repr__(self) -> str:
        return "Passwords(***)"


def check_data(data: Path) -> int | None:
    """The major version of the cluster in `data`, or None when there is none.

    Raises Misconfigured("data_directory_invalid") for a folder that is something else or half of one.
    """
    if not data.exists():
        return None
    if not (data / "global" / "pg_control").is_file():
        raise _invalid(f"{data} exists but is not a complete PostgreSQL data directory.")
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        raise _invalid(f"{data} does not say which PostgreSQL made it.") from None


def create_cluster(place: Path, binaries: Binaries, service: ServiceUser, passwords: Passwords) -> None:
    """Make `place/data`. It appears under its name when complete; what a crash left behind is removed."""
    for leftover in place.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # an initdb whose starter was killed may still be at it
    draft = Path(tempfile.mkdtemp(prefix="data.new-", dir=place))
    service.give(draft)
    try:
        _run([binaries.initdb, *_initdb_arguments(binaries.major, draft)], place, service)
        _run(_single_user(binaries, draft), place, service, _bootstrap_sql(passwords))
        _run([binaries.initdb, "--sync-only", "-D", str(draft)], place, service)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(place / "data")


def write_configuration(place: Path, major: int) -> None:
    """The server's files that it reads and may not change."""
    # PostgreSQL 18 would start three I/O workers, which a small server does not need.
    extra = "io_method = sync\n" if major >= 18 else ""
    for name, text in (("postgresql.conf", SETTINGS + extra), ("pg_hba.conf", ACCESS_RULES)):
        path = place / name
        path.write_text(text)
        path.chmod(0o644)


def _initdb_arguments(major: int, draft: Path) -> list[str]:
    # No password and no way in: the roles get their verifiers in single-user mode, before the first start.
    common = ["-D", str(draft), "-U", ADMIN, "-A", "reject", "-E", "UTF8", "-k", "--no-sync"]
    if major >= 17:
        return [*common, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*common, "--locale=C", f"--lc-ctype={'UTF-8' if sys.platform == 'darwin' else 'C.UTF-8'}"]


def _single_user(binaries: Binaries, draft: Path) -> list[str]:
    settings = ("exit_on_error=on", "fsync=off", "log_min_error_statement=panic")
    return [binaries.postgres, "--single", "-D", str(draft), *(f"-c{each}" for each in settings), "postgres"]


def _bootstrap_sql(passwords: Passwords) -> str:
    """One statement a line, as single-user mode reads them."""
    admin, control = quote_identifier(ADMIN), quote_identifier(CONTROL)
    secret, control_secret = (
        quote_literal(scram_verifier(each)) for each in (passwords.admin, passwords.control)
    )
    return "\n".join(
        (
            f"ALTER ROLE {admin} PASSWORD {secret}",
            f"CREATE ROLE {control} LOGIN {PLAIN} PASSWORD {control_secret}",
            f"CREATE DATABASE {control} OWNER {control}",
            f"REVOKE CONNECT, TEMP ON DATABASE postgres, template1, {control} FROM PUBLIC",
            "",
        )
    )


def _run(command: list[str], place: Path, service: ServiceUser, stdin: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, input=stdin, capture_output=True, text=True, timeout=300, check=False,
        cwd=place, env=CHILD_ENVIRONMENT, umask=0o077, **service.process_arguments(),
    )  # fmt: skip
    if done.returncode == 0:
        return
    if NO_SPACE in done.stderr:
        raise _invalid(
            f"{NO_SPACE} while making a data directory in {place}.", "Free some space and try again."
        )
    raise _invalid(f"{Path(command[0]).name} could not make a data directory in {place}.")


def _invalid(
    message: str, hint: str = "Move it away to start afresh, or restore it from a backup."
) -> Misconfigured:
    return Misconfigured("data_directory_invalid", message, hint)
