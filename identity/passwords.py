"""Passwords: Argon2id (RFC 9106), a length, a list of those nobody should have, and a gate before the work.

`argon2-cffi` is the binding to the reference implementation that OWASP and Django name; its hashes hold their parameters.
"""

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crypto.passphrases import passphrase_bytes
from identity.errors import BadPassword
from storage.errors import Unavailable

MEMORY_KIB = 19 * 1024
"""Memory of one hash; with ITERATIONS and LANES what OWASP's cheat sheet names as the least."""
ITERATIONS = 2
LANES = 1
LENGTH_LEAST = 8
"""Fewest characters, in Unicode's form NFC."""
LENGTH_MOST = 128
"""Most characters, in Unicode's form NFC."""
HASHES = 2
"""Hashes at a time in one process: each takes MEMORY_KIB and a core."""
HASH_WAIT_SECONDS = 5.0
"""How long somebody waits for their turn before being told to try again."""
COMMON = Path(__file__).with_name("common_passwords.txt")
COMMON_SHA256 = "c1bc2a150db7c15a602946cc2b5defc38bc68bac7c90a069633fed4c97c2415e"
"""Of the file, whose source and licence stand in it."""

_HASHER = PasswordHasher(ITERATIONS, MEMORY_KIB, LANES)
_SALT, _NONE = "A" * 22, "A" * 43
_NOBODYS = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}${_SALT}${_NONE}"
"""What the password of an account that has none is compared with: it costs the same, and nothing matches 32 zero bytes."""
_GATE = threading.BoundedSemaphore(HASHES)


def check(password: str, account: str) -> None:
    """Raises BadPassword for a new password that nobody should have."""
    if not _fits(password):
        raise BadPassword(
            f"got a password of {len(_normal(password))} characters, expected {LENGTH_LEAST} to {LENGTH_MOST}"
        )
    plain = _normal(password).casefold()
    if plain in _common() or secrets.compare_digest(plain.encode(), account.encode()):
        raise BadPassword("this is one of the passwords that are tried first; choose another")


def hash_new(password: str, account: str) -> str:
    """A new password's hash, as Argon2 encodes it; raises BadPassword, or Unavailable where too many wait."""
    check(password, account)
    with _turn():
        return _HASHER.hash(passphrase_bytes(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password of the hash; None costs the same and is nobody's. Raises Unavailable."""
    fits = _fits(password)
    with _turn():
        try:
            _HASHER.verify(kept or _NOBODYS, passphrase_bytes(password) if fits else b"")
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None and fits


def outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than these."""
    return _HASHER.check_needs_rehash(kept)


def rehash(password: str) -> str:
    """The hash, with these parameters, of a password that was just seen to match."""
    with _turn():
        return _HASHER.hash(passphrase_bytes(password))


@cache
def _common() -> frozenset[str]:
    lines = COMMON.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _fits(password: str) -> bool:
    return LENGTH_LEAST <= len(_normal(password)) <= LENGTH_MOST


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


@contextmanager
def _turn() -> Iterator[None]:
    if not _GATE.acquire(timeout=HASH_WAIT_SECONDS):
        raise Unavailable("full", "too many passwords are being checked; try again in a second")
    try:
        yield
    finally:
        _GATE.release()
