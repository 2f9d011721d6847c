"""One record of the audit trail, how it is chained to the one before, and how a chain is checked. Pure.

The hash is SHA-256 over the hash before and the record's values as a JSON list, written as PostgreSQL writes
one. `append` in migrations/0003_audit.sql makes it; here it is made again, so that checking a chain trusts
nothing that is defined in the database.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

INSTALLATION: Final = ""
"""The tenant of the chain that is no user's: the installation's own."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """One act. It holds no value of a statement or a row, and no URI: names, numbers and hashes only."""

    tenant: str
    """The user whose chain it belongs to, or INSTALLATION."""
    at: datetime
    actor: str
    tool: str
    outcome: str
    """`ok`, `cancelled`, `begun` (an intent, before the statement runs), `gap`, or an error's code."""
    workspace: str | None = None
    kind: str | None = None
    database: str | None = None
    statement_class: str | None = None
    fingerprint: bytes | None = None
    """The same for statements that differ only in their constants."""
    digest: bytes | None = None
    """SHA-256 of the statement's text."""
    statement: str | None = None
    """The text itself, where the operator wants it kept."""
    reason: str | None = None
    """The guard's rule, or the SQLSTATE."""
    rows: int | None = None
    size: int | None = None
    """Bytes of the answer."""
    micros: int | None = None
    """How long it took, waiting included."""
    cost_micros: int | None = None
    """Millionths of a dollar; None: not priced."""
    request: bytes | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A record in its place in a chain."""

    seq: int
    record: Record
    hash: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """What is known of a chain beside its records: where it ends, and where it was cut."""

    tenant: str
    seq: int
    hash: bytes
    cut_seq: int
    cut_hash: bytes
    cut_at: datetime | None = None
    cut_why: str | None = None

    @property
    def anchor(self) -> str:
        """Where it ends, to be kept elsewhere: all up to there can be proved later."""
        return f"{self.seq}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that an appended and pruned chain never shows."""

    seq: int
    words: str


def genesis(tenant: str) -> bytes:
    """What the first record of a tenant's chain is hashed with."""
    return _hash(b"", ["agentdb audit 1", tenant])


def hash_of(seq: int, record: Record, before: bytes) -> bytes:
    """The hash of a record in that place."""
    return _hash(before, _values(seq, record))


class Verifier:
    """Follows the records of a chain, in order, and says at the end what is wrong with it.

    `expected` is an anchor kept from before: the number of a record and its hash then.
    """

    def __init__(self, chain: Chain, expected: tuple[int, bytes] | None = None) -> None:
        self._chain = chain
        self._expected = expected
        self._faults: list[Fault] = []
        self._met: bytes | None = None
        if chain.cut_seq == 0 and chain.cut_hash != genesis(chain.tenant):
            self._found(0, "the chain does not begin as this user's would")
        self._go_to(chain.cut_seq, chain.cut_hash)

    def follow(self, link: Link) -> None:
        """The next record there is."""
        if link.seq != self._seq + 1:
            self._found(self._seq + 1, f"{_records(self._seq + 1, link.seq - 1)} missing")
        elif hash_of(link.seq, link.record, self._hash) != link.hash:
            words = f"record {link.seq} is not as it was appended, or the one before it is not"
            self._found(link.seq, words)
        self._go_to(link.seq, link.hash)

    def end(self) -> tuple[Fault, ...]:
        """Everything that is wrong. Nothing: the chain is as it was appended and pruned."""
        last = self._chain.seq
        if self._seq < last:
            self._found(self._seq + 1, f"{_records(self._seq + 1, last)} missing at the end")
        elif self._seq > last:
            self._found(last + 1, f"{_records(last + 1, self._seq)} beyond the end")
        elif self._hash != self._chain.hash:
            self._found(last, f"record {last} is not the one that was appended last")
        if self._expected is not None:
            self._compare(*self._expected)
        return tuple(self._faults)

    def _compare(self, seq: int, kept: bytes) -> None:
        if self._met is None and seq < self._chain.cut_seq:
            self._found(seq, f"record {seq} was pruned: the hash kept of it proves nothing any more")
        elif self._met is None:
            self._found(seq, f"record {seq}, whose hash was kept, is not there")
        elif self._met != kept:
            self._found(seq, f"record {seq} is not the one whose hash was kept: the chain was made anew")

    def _go_to(self, seq: int, hash_there: bytes) -> None:
        self._seq, self._hash = seq, hash_there
        if self._expected is not None and self._expected[0] == seq:
            self._met = hash_there

    def _found(self, seq: int, words: str) -> None:
        self._faults.append(Fault(seq, words))


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _hash(before: bytes, values: list[str | int | None]) -> bytes:
    return hashlib.sha256(before + json.dumps(values, ensure_ascii=False).encode()).digest()


def _values(seq: int, record: Record) -> list[str | int | None]:
    return [
        seq,
        (record.at - _EPOCH) // timedelta(microseconds=1),
        record.actor,
        record.workspace,
        record.kind,
        record.database,
        record.tool,
        record.statement_class,
        _hex(record.fingerprint),
        _hex(record.digest),
        record.statement,
        record.outcome,
        record.reason,
        record.rows,
        record.size,
        record.micros,
        record.cost_micros,
        _hex(record.request),
    ]


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
