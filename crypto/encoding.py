"""Canonical base64 and strict decimals, the two encodings every text format of ours shares."""

import binascii
import re

from crypto.errors import CanonicalError

_DECIMAL = re.compile(rb"(?:0|[1-9][0-9]{0,18})\Z")


def b64encode(data: bytes) -> str:
    """`data` in standard base64 with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str, length: int | None = None) -> bytes:
    """Bytes of canonical base64 `text`; of exactly `length` bytes if given.

    Raises CanonicalError for another alphabet, missing padding, trailing bits or another length.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise CanonicalError(f"got {text[:60]!r}, expected base64 with padding") from error
    if b64encode(data) != text:
        raise CanonicalError(f"got {text[:60]!r}, expected canonical base64")
    if length is not None and len(data) != length:
        raise CanonicalError(f"got {len(data)} bytes in base64, expected {length}")
    return data


def decimal(text: bytes) -> int:
    """The number of an ASCII decimal without sign or leading zeros, below 10^19."""
    if not _DECIMAL.match(text):
        raise CanonicalError(f"got {text[:40]!r}, expected a decimal without sign or leading zeros")
    return int(text)
