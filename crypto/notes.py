"""Signed notes and verifier keys (C2SP signed-note), with Ed25519 and ML-DSA-44."""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from crypto.cosignatures import (
    ORIGIN_LIMIT,
    TIMESTAMP_LIMIT,
    Checkpoint,
    ed25519_message,
    ml_dsa_message,
)
from crypto.encoding import b64decode, b64encode
from crypto.errors import CanonicalError, NoteError, SignatureError
from crypto.signing import SigningKey, verify

ED25519 = 0x01
ED25519_COSIGNATURE = 0x04
ML_DSA_44_COSIGNATURE = 0x06
PUBLIC_KEY_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}
"""Raw public key length of each signature type."""
SIGNATURE_LINES = 64
"""Most signature lines a note may carry (the page demands that at least 16 are taken)."""
NOTE_LIMIT = 1_000_000
"""Longest note in bytes."""

_CONTROLS = bytes({*range(0x20)} - {ord("\n")})
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\Z").match


@dataclass(frozen=True)
class VerifierKey:
    """`<name>+<8 hex of the key id>+<base64(type ‖ public key)>`, parsed."""

    name: str
    kind: int
    public: bytes

    @cached_property
    def id(self) -> bytes:
        """First 4 bytes of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        data = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(data).digest()[:4]

    def __str__(self) -> str:
        """The verifier key as one line of text."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read one verifier key; raises NoteError for anything but its exact text."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not _is_name(parts[0]):
            raise NoteError(f"got {text[:60]!r}, expected a verifier key <name>+<id>+<base64>")
        try:
            data = b64decode(parts[2])
        except CanonicalError as error:
            raise NoteError(f"verifier key of {parts[0]}: {error}") from error
        if not data or PUBLIC_KEY_BYTES.get(data[0]) != len(data) - 1:
            raise NoteError(
                f"verifier key of {parts[0]}: got an unknown type or a wrong key length"
            )
        key = cls(parts[0], data[0], data[1:])
        if str(key) != text:
            raise NoteError(
                f"verifier key of {key.name}: got id {parts[1]}, expected {key.id.hex()}"
            )
        return key

    def check(self, text: bytes, signature: bytes) -> None:
        """Check one signature line's bytes over the note's `text`; raises SignatureError."""
        if self.kind == ED25519:
            return verify(self.public, signature, text)
        if len(signature) < 8:
            raise SignatureError(
                f"got {len(signature)} bytes, expected a timestamp and a signature"
            )
        (timestamp,) = struct.unpack(">Q", signature[:8])
        if timestamp > TIMESTAMP_LIMIT:
            raise SignatureError(
                f"got the timestamp {timestamp}, expected at most {TIMESTAMP_LIMIT}"
            )
        if self.kind == ED25519_COSIGNATURE:
            return verify(self.public, signature[8:], ed25519_message(timestamp, text))
        message = ml_dsa_message(self.name, timestamp, Checkpoint.parse(text, extended=True))
        try:
            _ml_dsa_public(self.public).verify(signature[8:], message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError("got an ML-DSA-44 signature that does not fit") from error


def _is_name(name: str) -> bool:
    """1 to 255 bytes of UTF-8, which a cosignature counts in one byte, without spaces."""
    try:
        return 0 < len(name.encode()) <= ORIGIN_LIMIT and not any(c.isspace() for c in name)
    except UnicodeEncodeError:
        return False


@lru_cache(maxsize=64)
def _ml_dsa_public(public: bytes) -> MLDSA44PublicKey:
    return MLDSA44PublicKey.from_public_bytes(public)


class LogSigner:
    """The two keys of a log under one name: Ed25519 (0x01) and ML-DSA-44 (0x06)."""

    def __init__(self, name: str, ed25519_seed: bytes, ml_dsa_seed: bytes) -> None:
        """`name` is the log's origin; both seeds have 32 bytes."""
        self._ed25519 = SigningKey(ed25519_seed)
        self._ml_dsa = MLDSA44PrivateKey.from_seed_bytes(ml_dsa_seed)
        public = self._ml_dsa.public_key().public_bytes_raw()
        self.keys = (
            VerifierKey(name, ED25519, self._ed25519.public),
            VerifierKey(name, ML_DSA_44_COSIGNATURE, public),
        )

    def sign(self, checkpoint: Checkpoint, timestamp: int) -> bytes:
        """The note of `checkpoint` with both signatures, at `timestamp` Unix seconds."""
        return checkpoint.text() + b"\n" + self.lines(checkpoint, timestamp)

    def lines(self, checkpoint: Checkpoint, timestamp: int) -> bytes:
        """Both signature lines alone."""
        text = checkpoint.text()
        message = ml_dsa_message(self.keys[1].name, timestamp, checkpoint)
        second = struct.pack(">Q", timestamp) + self._ml_dsa.sign(message)
        first = signature_line(self.keys[0], self._ed25519.sign(text))
        return first + signature_line(self.keys[1], second)


class Cosigner:
    """The two keys of a witness under one name: Ed25519 (0x04) and ML-DSA-44 (0x06) (tlog-cosignature)."""

    def __init__(self, name: str, ed25519_seed: bytes, ml_dsa_seed: bytes) -> None:
        """Both seeds have 32 bytes; raises NoteError for a name that no verifier key can have."""
        self._ed25519 = SigningKey(ed25519_seed)
        self._ml_dsa = MLDSA44PrivateKey.from_seed_bytes(ml_dsa_seed)
        public = self._ml_dsa.public_key().public_bytes_raw()
        self.keys = (
            VerifierKey(name, ED25519_COSIGNATURE, self._ed25519.public),
            VerifierKey(name, ML_DSA_44_COSIGNATURE, public),
        )
        VerifierKey.parse(str(self.keys[0]))

    def cosign(self, text: bytes, timestamp: int) -> bytes:
        """Both signature lines for the text of a checkpoint, at `timestamp` Unix seconds; raises NoteError."""
        checkpoint = Checkpoint.parse(text, extended=True)
        time = struct.pack(">Q", timestamp)
        first = self._ed25519.sign(ed25519_message(timestamp, text))
        second = self._ml_dsa.sign(ml_dsa_message(self.keys[1].name, timestamp, checkpoint))
        return signature_line(self.keys[0], time + first) + signature_line(
            self.keys[1], time + second
        )


def signature_line(key: VerifierKey, signature: bytes) -> bytes:
    """`— <name> <base64(key id ‖ signature)>` and a newline."""
    return f"— {key.name} {b64encode(key.id + signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note: its text (ends in a newline) and signature lines as (name, key id, bytes)."""

    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, data: bytes) -> "Note":
        """Split at the last empty line and read every signature line; raises NoteError."""
        if len(data) > NOTE_LIMIT:
            raise NoteError(f"got a note of {len(data)} bytes, expected at most {NOTE_LIMIT}")
        if data.translate(None, _CONTROLS) != data:  # ten times as fast as a pattern
            raise NoteError("got a note with a control character other than newline")
        at = data.rfind(b"\n\n")
        if at < 0 or not data.endswith(b"\n") or at + 2 == len(data):
            raise NoteError("got a note without text, empty line and signature lines")
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise NoteError("got a note that is not UTF-8") from error
        lines = data[at + 2 : -1].split(b"\n")
        if len(lines) > SIGNATURE_LINES:
            raise NoteError(f"got {len(lines)} signature lines, expected at most {SIGNATURE_LINES}")
        return cls(data[: at + 1], tuple(_signature(line.decode()) for line in lines))

    def verify(self, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
        """The given keys whose lines verify; lines of unknown keys are ignored.

        Raises NoteError if a known key's line fails, or if no known key signed.
        """
        good = self.signed_by(keys)
        if not good:
            raise NoteError("got a note that none of the known keys signed")
        return good

    def signed_by(self, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
        """The same, which may be none of them; raises NoteError if a known key's line fails."""
        good = []
        for name, keyid, signature in self.signatures:
            for key in keys:
                if key.name == name and key.id == keyid:
                    try:
                        key.check(self.text, signature)
                    except SignatureError as error:
                        raise NoteError(f"signature line of {name} fails: {error}") from error
                    good.append(key)
        return good


def _signature(line: str) -> tuple[str, bytes, bytes]:
    match = _LINE(line)
    if match is None:
        raise NoteError(f"got {line[:60]!r}, expected a signature line '— <name> <base64>'")
    try:
        data = b64decode(match[2])
    except CanonicalError as error:
        raise NoteError(f"signature line of {match[1]}: {error}") from error
    if len(data) < 5:
        raise NoteError(
            f"signature line of {match[1]}: got {len(data)} bytes, expected more than 4"
        )
    return match[1], data[:4], data[4:]
