"""The chain drawn: some entries with their hash links, and the tree from the entries to the signed root."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.notes import ED25519, ML_DSA_44_COSIGNATURE, Note, VerifierKey
from ledger.checkpoint import Checkpoint
from ledger.entry import Entry
from ledger.merkle import leaf_hash, perfect_ranges
from ledger.receipt import Receipt

SHOWN_DIGITS = 8
LEAST_SHARE = 7.0
SIGNATURES = {ED25519: "Ed25519", ML_DSA_44_COSIGNATURE: "ML-DSA-44"}


@dataclass(frozen=True)
class Block:
    """An entry: its number, what it is, its hash, and the hash it holds of the one before."""

    seq: int
    type: str
    hash: str
    prev: str
    wrong: bool
    """Whether it is the one that is not as it should be, in a copy or in a lying server's log."""
    says: str
    """The decision it holds, if any."""


@dataclass(frozen=True)
class Limb:
    """A perfect subtree of the tree: entries from `start` up to, not with, `end`."""

    start: int
    end: int
    left: float
    """Where it begins, as a part of the whole width."""
    part: float
    """Its share of the width: not in proportion, so that small ones are seen."""


@dataclass(frozen=True)
class Tree:
    """The tree over all entries, and who signed its root."""

    size: int
    root: str
    limbs: list[Limb]
    signers: list[str]
    path: int
    """Hashes from the letter's entry to the root."""
    index: int
    """The letter's entry."""
    then: int
    """Entries under the checkpoint that the receipt leads to: the first one after the letter."""


def blocks(around: Sequence[Entry], wrong: int) -> list[Block]:
    """The entries as blocks; `wrong` is the number of the one that it is about."""
    return [
        Block(
            entry.link.seq, entry.event.type.name, _short(leaf_hash(entry.raw)),
            _short(entry.link.prev), entry.link.seq == wrong, _said(entry),
        )
        for entry in around
    ]  # fmt: skip


def tree(text: bytes, receipt: Receipt, vkeys: Sequence[str]) -> Tree:
    """The tree of a checkpoint's note, the keys whose signatures hold, and where a receipt leads."""
    note = Note.parse(text)
    checkpoint, then = (
        Checkpoint.parse(note.text),
        Checkpoint.parse(Note.parse(receipt.checkpoint).text),
    )
    signed = note.verify([VerifierKey.parse(text) for text in vkeys])
    ranges = [(n << level, (n + 1) << level) for level, n in perfect_ranges(0, checkpoint.size)]
    shares = [max((end - start) ** 0.5, LEAST_SHARE) for start, end in ranges]
    left, limbs = 0.0, []
    for (start, end), share in zip(ranges, shares, strict=True):
        limbs.append(Limb(start, end, left, share / sum(shares)))
        left += share / sum(shares)
    names = [SIGNATURES[key.kind] for key in signed]
    return Tree(
        checkpoint.size, checkpoint.root.hex(), limbs, names, len(receipt.path), receipt.index,
        then.size,
    )  # fmt: skip


def _said(entry: Entry) -> str:
    decision = entry.decision
    return f"{decision['effect']} by {decision['rule']}" if decision else ""


def _short(digest: bytes) -> str:
    return digest.hex()[:SHOWN_DIGITS]
