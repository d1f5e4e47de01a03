"""Receipts: an entry, its inclusion path and a checkpoint in one text (C2SP tlog-proof)."""

from collections.abc import Sequence

from .checkpoint import open_checkpoint
from .strict import LogRefused, decode_base64, decode_decimal, decode_hash, decode_utf8
from .tree import leaf_hash, root_from_path

HEADER = "c2sp.org/tlog-proof@v1"
MAX_ENTRY_SIZE = 65_535
"""Bytes; a bundle has two for an entry's length."""


def check_proof(text: bytes, vkeys: Sequence[str]) -> tuple[int, bytes]:
    """Verify a `.tlog-proof` receipt; return the entry's index, from 0, and its bytes.

    The lines are: header, `extra <base64 of the entry>`, `index <decimal>`, the path from the
    leaf's sibling upwards, an empty line, the checkpoint verbatim. tlog-proof leaves `extra`
    open; a receipt has it always. Every one of `vkeys`, the log's verifier keys in text form,
    must have signed the checkpoint; other signature lines, of witnesses, are ignored.

    :raises LogRefused: if a line is malformed, a signature missing or wrong, or the path
        doesn't lead to the checkpoint's root.
    """
    index, entry, path, note = _parse_receipt(text)
    checkpoint = open_checkpoint(note, vkeys, "receipt, checkpoint")
    root = root_from_path(leaf_hash(entry), index, checkpoint.size, path)
    if root != checkpoint.root:
        raise LogRefused(
            f"receipt, entry {index}: got a path to {root.hex()},"
            f" expected to the checkpoint's root {checkpoint.root.hex()}"
        )
    return index, entry


def _parse_receipt(text: bytes) -> tuple[int, bytes, list[bytes], bytes]:
    """Take a receipt apart: index, entry, path, and the checkpoint's note, not yet verified."""
    head, separator, note = text.partition(b"\n\n")  # the first empty line; the note has others
    lines = decode_utf8(head, "receipt").split("\n")
    if not separator or len(lines) < 3:
        raise LogRefused("receipt: expected header, extra, index, path, an empty line, checkpoint")
    if lines[0] != HEADER:
        raise LogRefused(f"receipt, line 1: got {lines[0][:80]!r}, expected {HEADER!r}")
    entry = decode_base64(_field(lines[1], "extra", 2), "receipt, line 2 (extra)")
    if len(entry) > MAX_ENTRY_SIZE:
        raise LogRefused(f"receipt, line 2: got {len(entry)} bytes, expected <= {MAX_ENTRY_SIZE}")
    index = decode_decimal(_field(lines[2], "index", 3), "receipt, line 3 (index)")
    path = [
        decode_hash(line, f"receipt, line {number} (path)")
        for number, line in enumerate(lines[3:], start=4)
    ]
    return index, entry, path, note


def _field(line: str, name: str, number: int) -> str:
    """Return what follows `<name> ` on line `number` of the receipt."""
    if not line.startswith(f"{name} "):
        raise LogRefused(f"receipt, line {number}: got {line[:80]!r}, expected '{name} …'")
    return line[len(name) + 1 :]
