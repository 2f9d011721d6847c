"""Sealing connection URIs: AES-256-GCM, bound to the place a value stands in. The only door to cryptography.

The sealed form is text: `v1.<key id>.<base64url of nonce, ciphertext and tag>`. The nonce is 96 random bits
(NIST SP 800-38D, 8.2.2); rotating long before 2^32 values keeps that safe. The version, the key id and the
place are authenticated with the value, so a sealed text moved to another row, column or owner does not open.
"""

import hashlib
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentdb_mcp.core.errors import Invalid, Misconfigured
from agentdb_mcp.core.secrets import ConnectionUri, KeyText

KEY_NAME: Final = "NEON_CONNECTION_ENCRYPTION_KEY"
_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
_KEY_FORM: Final = re.compile(r"[0-9A-Fa-f]{64}")
_LEGACY_FORM: Final = re.compile(r"([0-9A-Fa-f]{32}):((?:[0-9A-Fa-f]{2})+):([0-9A-Fa-f]{32})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands. It opens nowhere else."""

    table: str
    row_id: str
    column: str
    owner_id: str


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    aes: AESGCM = field(repr=False)


@final
class KeyRing:
    """The key that seals, and the older ones that still open."""

    __slots__ = ("__current", "__keys")

    def __init__(self, current: KeyText, older: Iterable[KeyText] = ()) -> None:
        """Raises Misconfigured("encryption_key_malformed") when one is not 64 hexadecimal digits."""
        self.__current = _key(current)
        self.__keys = {key.id: key for key in (self.__current, *map(_key, older))}

    @property
    def current_id(self) -> str:
        """The id of the key that seals: a short hash, which tells nothing about the key."""
        return self.__current.id

    def seal(self, uri: ConnectionUri, place: Place) -> str:
        """The sealed form of `uri` for that place. Sealing twice gives two different texts."""
        nonce = os.urandom(_NONCE_BYTES)
        box = self.__current.aes.encrypt(nonce, uri.reveal().encode(), _context(self.current_id, place))
        return sealed_with(self.current_id) + _encoded(nonce + box)

    def open(self, sealed: str, place: Place) -> ConnectionUri:
        """What was sealed for that place.

        Raises Misconfigured: `encryption_key_unknown` when none of our keys sealed it, `ciphertext_invalid`
        when it was changed, cut or moved.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, box = rest.partition(".")
        if version != _VERSION or not box:
            raise _invalid()
        if (key := self.__keys.get(key_id)) is None:
            raise _unknown(key_id)
        return _open(key, _decoded(box), _context(key_id, place))

    def open_legacy(self, text: str) -> ConnectionUri:
        """A value in Sim's form, `ivHex:cipherHex:tagHex`: a 16-byte nonce, bound to no place. For imports.

        Raises Misconfigured("ciphertext_invalid") when no key of ours opens it; the form carries no key id.
        """
        form = _LEGACY_FORM.fullmatch(text)
        if form is None:
            raise _invalid()
        nonce, box, tag = (bytes.fromhex(part) for part in form.groups())
        for key in self.__keys.values():
            try:
                return ConnectionUri(key.aes.decrypt(nonce, box + tag, None).decode())
            except (InvalidTag, UnicodeDecodeError):
                continue
        raise _invalid()

    def open_given(self, text: str) -> ConnectionUri:
        """A value that an import gives: a URI as it is, or in Sim's form.

        Raises Misconfigured("ciphertext_invalid") when no key of ours opens it, Invalid for anything else.
        """
        if is_legacy(text):
            return self.open_legacy(text)
        if not text.startswith(("postgres://", "postgresql://")):
            raise Invalid(
                "bad_argument",
                "The connection URI is neither a postgresql:// URI nor sealed as ivHex:cipherHex:tagHex.",
                "It is not repeated here. Sim's encryption key goes into AGENTDB_OLD_ENCRYPTION_KEYS.",
            )
        return ConnectionUri(text)

    def __repr__(self) -> str:
        return "KeyRing(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyRing is not pickled")

    __reduce_ex__ = __reduce__  # pyright: ignore[reportAssignmentType]


def is_legacy(text: str) -> bool:
    """Whether a value is in Sim's form, `ivHex:cipherHex:tagHex`."""
    return _LEGACY_FORM.fullmatch(text) is not None


def sealed_with(key_id: str) -> str:
    """What every text sealed with that key begins with."""
    return f"{_VERSION}.{key_id}."


def _key(text: KeyText) -> _Key:
    digits = text.reveal().strip()
    if _KEY_FORM.fullmatch(digits) is None:
        raise Misconfigured(
            "encryption_key_malformed",
            f"An encryption key is not 64 hexadecimal digits; it has {len(digits)} characters.",
            f"Make one with `openssl rand -hex 32` and set {KEY_NAME} to it.",
        )
    raw = bytes.fromhex(digits)
    return _Key(hashlib.sha256(b"agentdb key id\0" + raw).hexdigest()[:12], AESGCM(raw))


def _context(key_id: str, place: Place) -> bytes:
    """What is authenticated beside the value. JSON quotes, so no two places give the same bytes."""
    return json.dumps([_VERSION, key_id, place.table, place.row_id, place.column, place.owner_id]).encode()


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(box: str) -> bytes:
    """The bytes of `box`, which must be written exactly as we write it: Python's decoder overlooks much."""
    try:
        raw = urlsafe_b64decode(box + "=" * (-len(box) % 4))
    except ValueError:
        raise _invalid() from None
    if _encoded(raw) != box:
        raise _invalid()
    return raw


def _open(key: _Key, raw: bytes, context: bytes) -> ConnectionUri:
    try:
        return ConnectionUri(key.aes.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context).decode())
    except (InvalidTag, ValueError):
        raise _invalid() from None


def _invalid() -> Misconfigured:
    return Misconfigured(
        "ciphertext_invalid",
        "A sealed connection URI was changed, or stands in another place than it was sealed for.",
        "Restore its row from a backup, or make new credentials: agentdb database mend ID.",
    )


def _unknown(key_id: str) -> Misconfigured:
    known = key_id if re.fullmatch(r"[0-9a-f]{12}", key_id) else "?"
    return Misconfigured(
        "encryption_key_unknown",
        f"A connection URI was sealed with the key {known}, which this process does not have.",
        f"Add the key that was {KEY_NAME} then to AGENTDB_OLD_ENCRYPTION_KEYS (comma separated); "
        "`agentdb keys rotate` makes it superfluous.",
    )
