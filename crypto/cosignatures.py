"""Checkpoint texts and the bytes a cosigner signs over them (C2SP tlog-checkpoint, tlog-cosignature)."""

import struct
from dataclasses import dataclass
from functools import lru_cache

from crypto.encoding import b64decode, b64encode, decimal
from crypto.errors import CanonicalError, NoteError

ORIGIN_LIMIT = 255
"""Longest origin in bytes; the cosignature counts it in one byte."""
TIMESTAMP_LIMIT = 2**63 - 1
"""Largest time of a cosignature, in Unix seconds: larger ones are negative numbers to others."""
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: its origin, its size in entries and the 32-byte root of its tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """The three lines `<origin>\\n<size>\\n<base64 root>\\n`."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root)}\n".encode()

    @classmethod
    def parse(cls, text: bytes, extended: bool = False) -> "Checkpoint":
        """Read exactly three lines; raises NoteError.

        `extended`: other logs may add lines of their own behind these (tlog-checkpoint), none of them empty.
        """
        *lines, end = text.split(b"\n")
        more = len(lines) > 3 and not (extended and all(lines[3:]))
        if end or len(lines) < 3 or more:
            raise NoteError(f"got {len(lines)} lines, expected origin, size and root only")
        try:
            origin = lines[0].decode()
            check_origin(origin)
            return cls(origin, decimal(lines[1]), b64decode(lines[2].decode("ascii"), HASH_BYTES))
        except (CanonicalError, UnicodeDecodeError) as error:
            raise NoteError(f"checkpoint: {error}") from error


@lru_cache(maxsize=256)
def check_origin(origin: str) -> None:
    """Raises NoteError unless `origin` may name a log: no spaces, no `+`, ≤ 255 bytes, not ours."""
    if not origin or len(origin.encode()) > ORIGIN_LIMIT:
        raise NoteError(
            f"got an origin of {len(origin.encode())} bytes, expected 1 to {ORIGIN_LIMIT}"
        )
    if origin.startswith("heartwood/") or "://" in origin:
        raise NoteError(
            f"got the origin {origin!r}, expected a URL without schema, not heartwood/…"
        )
    if "+" in origin or any(c.isspace() or ord(c) < 0x21 for c in origin):
        raise NoteError(f"got the origin {origin!r}, expected one without spaces, controls and +")


def ed25519_message(timestamp: int, text: bytes) -> bytes:
    """What an Ed25519 cosigner (0x04) signs at `timestamp` Unix seconds."""
    return b"cosignature/v1\ntime %d\n" % timestamp + text


def ml_dsa_message(name: str, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """What an ML-DSA-44 cosigner (0x06) signs: the subtree from 0 to the checkpoint's size."""
    label, origin = name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(label)]),
            label,
            struct.pack(">Q", timestamp),
            bytes([len(origin)]),
            origin,
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        )
    )
