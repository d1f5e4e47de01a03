"""The proof of a history: that no entry of a stream is missing, up to the one that a receipt proves.

Each entry holds the hash of the one before it in its stream (`stream_prev`, docs/formats.md). So the receipt of one entry
proves all before it; whoever has both can check with software of their own and trusts nobody.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crypto.errors import FormError
from crypto.texts import counted
from ledger.chain import ZERO
from ledger.entry import Entry
from ledger.errors import EventError, ProofError
from ledger.merkle import leaf_hash
from ledger.receipt import Receipt
from ledger.times import format_time

FORMAT = "heartwood/history/v1"
_BEFORE = b"\xef\xbb\xbf\xff\xfe\0 \r\n\t"
"""What may stand before the first letter of a text, in the encodings that `plain_text` takes."""
HISTORY_LIMIT = 256 * 1024 * 1024
"""Longest proof that is read, in bytes: about 150,000 entries."""


@dataclass(frozen=True)
class HistoryProof:
    """All entries of a stream up to the last one, and what proves that one."""

    entries: tuple[Entry, ...]
    receipt: Receipt

    @property
    def line(self) -> str:
        """What it proves, for people."""
        last = self.entries[-1]
        return (
            f"complete: {counted(len(self.entries), 'entry')} of {last.event.stream}, up to entry {last.link.seq} of "
            f"{format_time(last.time)}, none missing"
        )


def is_history(data: bytes) -> bool:
    """Whether a file looks like the proof of a history, and not like a receipt."""
    return data.lstrip(_BEFORE)[:1] == b"{"


def history_text(entries: Sequence[bytes], receipt: bytes) -> str:
    """The proof as a file: the stored bytes of the stream's entries from its first on, and the receipt of the last."""
    proof = {
        "entries": [raw.decode() for raw in entries], "format": FORMAT, "receipt": receipt.decode(),
    }  # fmt: skip
    return json.dumps(proof, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_history(data: bytes) -> tuple[list[bytes], bytes]:
    """Entries and receipt of such a file, or of a server's answer to `history.opened`; raises FormError for other bytes."""
    try:
        value: Any = json.loads(data)
        entries, receipt = value["entries"], value["receipt"]
        if not all(isinstance(text, str) for text in [*entries, receipt]) or not entries:
            raise FormError("the proof of a history holds texts: at least one entry, and a receipt")
        return [text.encode() for text in entries], receipt.encode()
    except (KeyError, TypeError, ValueError) as error:
        raise FormError(f"not the proof of a history: {type(error).__name__}: {error}") from error


def check_history(entries: Sequence[bytes]) -> list[Entry]:
    """The entries, if each holds the hash of the one before, from the stream's first on: none is missing.

    What the last one is must be known from its receipt. Raises ProofError with the place.
    """
    before, out = ZERO, list[Entry]()
    for number, raw in enumerate(entries):
        try:
            entry = Entry.parse(raw)
        except EventError as error:
            raise ProofError(f"history: number {number} is no entry: {error}") from error
        if entry.link.stream_seq != number or entry.link.stream_prev != before:
            raise ProofError(
                f"history: entry {entry.link.seq} does not follow number {number - 1} of the stream"
            )
        if out and entry.event.stream != out[0].event.stream:
            raise ProofError(f"history: entry {entry.link.seq} is of {entry.event.stream}")
        before = leaf_hash(raw)
        out.append(entry)
    return out


def proved_history(entries: Sequence[bytes], receipt: Receipt) -> HistoryProof:
    """A history whose last entry is the one of a receipt that holds; raises ProofError."""
    found = check_history(entries)
    if not found or receipt.entry != entries[-1]:
        raise ProofError(
            f"history: its last entry is not entry {receipt.index}, the one that the receipt proves"
        )
    return HistoryProof(tuple(found), receipt)
