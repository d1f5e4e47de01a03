"""Ids: a prefix and 128 bits in Crockford base32, lower case, as a ULID.

48 bits of Unix milliseconds come first, so that database indexes stay local; a patient's id is random
throughout, because its time would tell something.
"""

import base64
import hashlib
import re

from crypto.errors import IdError

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's alphabet without i, l, o and u, in lower case."""
ID_PATTERN = "[0-7][0-9a-hjkmnp-tv-z]{25}"
"""The 26 digits of 128 bits; the first is at most 7."""

ALGORITHM_ED25519 = 0x01
ALGORITHM_ML_DSA_44 = 0x06
ALGORITHM_X25519 = 0x10
ALGORITHM_X_WING = 0x11

_RFC4648 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", DIGITS)
_ID = re.compile(rf"([a-z]{{1,4}})_{ID_PATTERN}\Z").match


def digits(data: bytes) -> str:
    """The 26 digits of 16 bytes read as one big-endian number."""
    if len(data) != 16:
        raise IdError(f"got {len(data)} bytes, expected the 16 of an id")
    return base64.b32encode(b"\0\0\0\0" + data).decode("ascii")[6:].translate(_RFC4648)


def timed_id(prefix: str, milliseconds: int, random: bytes) -> str:
    """An id of `prefix` for Unix time `milliseconds` with 10 `random` bytes."""
    if len(random) != 10 or not 0 <= milliseconds < 2**48:
        raise IdError(
            f"got {len(random)} random bytes at {milliseconds}, expected 10 below 2^48 ms"
        )
    return f"{prefix}_{digits(milliseconds.to_bytes(6, 'big') + random)}"


def random_id(prefix: str, random: bytes) -> str:
    """An id of `prefix` from 16 `random` bytes, which tells no time (patients)."""
    return f"{prefix}_{digits(random)}"


def time_of(text: str) -> int:
    """The Unix milliseconds that a timed id begins with; raises IdError for what is no id."""
    prefix = prefix_of(text)
    value = 0
    for digit in text[len(prefix) + 1 :]:
        value = value * 32 + DIGITS.index(digit)
    return value >> 80


def prefix_of(text: str) -> str:
    """The prefix of a well-formed id; raises IdError otherwise."""
    match = _ID(text)
    if match is None:
        raise IdError(f"got {text[:40]!r}, expected <prefix>_<26 digits of Crockford base32>")
    return match[1]


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` is a well-formed id of `prefix`."""
    match = _ID(text)
    return match is not None and match[1] == prefix


def key_id(algorithm: int, public: bytes) -> str:
    """`k_` and the first 16 bytes of SHA-256(algorithm byte ‖ raw public key)."""
    return f"k_{digits(hashlib.sha256(bytes([algorithm]) + public).digest()[:16])}"
