"""SCRAM-SHA-256 (RFC 5802, 7677), the client's side: the password is proven and never sent, and so is the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata

from workbench.core.errors import Unavailable

_MAX_ROUNDS = 10_000_000


class Scram:
    """One login. `proven`: the server has shown that it knows the password too.

    `nonce` is random; tests give the one of the RFC.
    """

    def __init__(self, password: str, *, user: str = "", nonce: str = "") -> None:
        self.proven = False
        self._password = _prepared(password)
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(18)).decode()
        self._bare = f"n={user},r={self._nonce}"  # PostgreSQL takes the user from its startup message
        self._signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """The proof. Takes a moment of work. Raises Unavailable for a challenge that no honest server sends."""
        try:
            said = dict(part.split("=", 1) for part in challenge.decode("ascii").split(","))
            nonce, salt, rounds = said["r"], base64.b64decode(said["s"], validate=True), int(said["i"])
        except (ValueError, KeyError):
            raise _wrong() from None
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or not 1 <= rounds <= _MAX_ROUNDS:
            raise _wrong()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        key = _mac(salted, b"Client Key")
        final = f"c=biws,r={nonce}"
        message = f"{self._bare},{challenge.decode('ascii')},{final}".encode()
        proof = bytes(a ^ b for a, b in zip(key, _mac(hashlib.sha256(key).digest(), message), strict=True))
        self._signature = _mac(_mac(salted, b"Server Key"), message)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def check(self, final: bytes) -> None:
        """Raises Unavailable when the server's last word does not prove that it knows the password."""
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(final.split(b",")[0], expected):
            raise Unavailable("The database server did not prove who it is.", hint="Check host and port.")
        self.proven = True


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _wrong() -> Unavailable:
    return Unavailable("The database server's login makes no sense.", hint="Check host and port.")


def _prepared(password: str) -> bytes:
    """The password as both sides must write it (SASLprep); as it is where that does not apply, as PostgreSQL does."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    normal = unicodedata.normalize("NFKC", mapped)
    prohibited = (
        *(stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4),
        *(stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8),
        *(stringprep.in_table_c9, stringprep.in_table_a1),
    )
    if not normal or any(test(c) for c in normal for test in prohibited):
        return password.encode()
    return normal.encode()
