"""SCRAM-SHA-256 verifiers, made on our side so that no password travels to a server or into its log."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096
"""PostgreSQL's own default (`scram_iterations`). Our passwords have 256 random bits: more buys nothing."""


def new_password() -> str:
    """256 random bits in characters that need no escaping in a URI."""
    return secrets.token_urlsafe(32)


def scram_verifier(password: str) -> str:
    """What `pg_authid.rolpassword` holds for `password` (RFC 5803, as PostgreSQL writes it).

    `password` must be ASCII: SASLprep, which other text would need, is not done here.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
