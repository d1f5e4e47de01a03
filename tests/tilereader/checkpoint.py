"""Checkpoints: a signed tree head (C2SP tlog-checkpoint) and who must have signed it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from .note import ED25519, VerifierKey, parse_note, parse_vkeys
from .strict import LogRefused, decode_decimal, decode_hash
from .tree import EMPTY_ROOT

ED25519_SIGNATURE_SIZE = 64
ML_DSA_44_SIGNATURE_SIZE = 2420
TIMESTAMP_SIZE = 8
MAX_TIMESTAMP = 2**63 - 1  # tlog-cosignature, "Format"
MAX_ORIGIN_SIZE = 255  # one length byte in the signed message


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's origin, the number of entries, the 32-byte root."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(data: bytes, vkeys: Sequence[str], place: str = "checkpoint") -> Checkpoint:
    """Parse a checkpoint and verify that every one of `vkeys` signed it.

    `data` is the whole note, `vkeys` are the log's verifier keys in text form, named like the
    origin. Lines of other keys are ignored; a known key's line that fails rejects the note.

    :raises LogRefused: if it is malformed, of another log, or a signature is missing or wrong.
    """
    keys = parse_vkeys(vkeys)
    note = parse_note(data, place)
    checkpoint = _parse_text(note.text, place)
    signed: set[VerifierKey] = set()
    known = {(key.name, key.key_id): key for key in keys}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:
            _verify(key, checkpoint, note.text, line.signature, place)
            signed.add(key)
    for key in keys:
        if key.name != checkpoint.origin:
            raise LogRefused(f"{place}: got origin {checkpoint.origin!r}, expected {key.name!r}")
        if key not in signed:
            raise LogRefused(
                f"{place}: got no signature of {key.name}+{key.key_id.hex()},"
                " expected one of every given key"
            )
    return checkpoint


def _parse_text(text: str, place: str) -> Checkpoint:
    """Parse the note's text: three ended lines and no extension lines (formats, Checkpoint)."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise LogRefused(f"{place}: got {len(lines) - 1} lines of text, expected 3")
    origin = lines[0]
    if not 1 <= len(origin.encode()) <= MAX_ORIGIN_SIZE:
        raise LogRefused(f"{place}, line 1: got {origin[:80]!r}, expected 1 to 255 bytes")
    size = decode_decimal(lines[1], f"{place}, line 2 (size)")
    root = decode_hash(lines[2], f"{place}, line 3 (root)")
    if size == 0 and root != EMPTY_ROOT:
        raise LogRefused(f"{place}, line 3: got root {root.hex()} of size 0, expected SHA-256('')")
    return Checkpoint(origin, size, root)


def _verify(
    key: VerifierKey, checkpoint: Checkpoint, text: str, signature: bytes, place: str
) -> None:
    try:
        if key.type == ED25519:
            _require_size(signature, ED25519_SIGNATURE_SIZE, place)
            VerifyKey(key.public_key).verify(text.encode(), signature)
        else:
            _require_size(signature, TIMESTAMP_SIZE + ML_DSA_44_SIGNATURE_SIZE, place)
            _verify_cosignature(key, checkpoint, signature, place)
    except (BadSignatureError, InvalidSignature) as error:
        raise LogRefused(
            f"{place}: got a signature of {key.name}+{key.key_id.hex()} that fails,"
            " expected a valid one of every known key"
        ) from error


def _verify_cosignature(
    key: VerifierKey, checkpoint: Checkpoint, signature: bytes, place: str
) -> None:
    """tlog-cosignature, "ML-DSA-44 signed message": `cosigned_message` for a whole tree."""
    (timestamp,) = struct.unpack(">Q", signature[:TIMESTAMP_SIZE])
    if timestamp > MAX_TIMESTAMP:
        raise LogRefused(f"{place}: got cosignature timestamp {timestamp}, expected < 2^63")
    cosigner = key.name.encode()
    origin = checkpoint.origin.encode()
    if len(cosigner) > MAX_ORIGIN_SIZE:
        raise LogRefused(f"{place}: got a cosigner name of {len(cosigner)} bytes, expected <= 255")
    message = b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(cosigner)]) + cosigner,
            struct.pack(">Q", timestamp),
            bytes([len(origin)]) + origin,
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        )
    )
    public_key = MLDSA44PublicKey.from_public_bytes(key.public_key)
    public_key.verify(signature[TIMESTAMP_SIZE:], message, b"")


def _require_size(signature: bytes, expected: int, place: str) -> None:
    if len(signature) != expected:
        raise LogRefused(f"{place}: got a signature of {len(signature)} bytes, expected {expected}")
