"""Checkpoints: what the log signs, twice (C2SP tlog-checkpoint)."""

from collections.abc import Sequence

from crypto.cosignatures import Checkpoint
from crypto.errors import NoteError
from crypto.notes import Note, VerifierKey
from ledger.logkeys import LogKeys
from ledger.merkle import EMPTY_ROOT

__all__ = ["Checkpoint", "open_checkpoint", "parse_keys", "said_by"]


def parse_keys(lines: Sequence[str]) -> list[VerifierKey]:
    """The log's verifier keys from their texts: one name, none twice; raises NoteError."""
    keys = [VerifierKey.parse(line) for line in lines]
    if not keys or len({key.name for key in keys}) != 1 or len({str(k) for k in keys}) != len(keys):
        raise NoteError(f"got {len(keys)} verifier keys, expected those of one log, none twice")
    return keys


def open_checkpoint(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of `note`; every one of the log's `keys` must have signed it; raises NoteError.

    Of keys whose generations are known (`LogKeys`): every one that counts at its size.
    """
    parsed = Note.parse(note)
    if isinstance(keys, LogKeys):
        keys = keys.at(Checkpoint.parse(parsed.text).size)
        if not keys:
            raise NoteError("checkpoint: no key of the log counts at its size")
    signed = parsed.verify(keys)
    missing = [key for key in keys if key not in signed]
    if missing:
        raise NoteError(
            f"checkpoint: key {missing[0].id.hex()} (type 0x{missing[0].kind:02x}) has not signed it"
        )
    checkpoint = Checkpoint.parse(parsed.text)
    if checkpoint.origin != keys[0].name:
        raise NoteError(f"checkpoint: got the origin {checkpoint.origin}, expected {keys[0].name}")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise NoteError("checkpoint: size 0 without the empty root")
    return checkpoint


def said_by(note: bytes) -> Checkpoint:
    """The checkpoint that a note's text says, whoever signed it, if anybody did; raises NoteError."""
    return Checkpoint.parse(note.rpartition(b"\n\n")[0] + b"\n")
