"""The branch that several keepers on one folder follow."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from crypto.cosignatures import Checkpoint
from crypto.notes import LogSigner
from durable.trusted import TrustedCheckpoint
from keeper.branch import Branch
from keeper.protocol import Conflict, Evidence
from ledger.checkpoint import open_checkpoint
from ledger.errors import ProofError
from ledger.merkle import consistency_proof, leaf_hash, perfect_root, root_of
from ledger.receipt import Receipt

SIGNER = LogSigner("a.example/log", bytes(32), bytes(32))
INTERVAL_MS = 1_000
TRUNK = [leaf_hash(b"%d" % number) for number in range(10)]
ONE = TRUNK + [leaf_hash(b"one %d" % number) for number in range(40)]
OTHER = TRUNK + [leaf_hash(b"other %d" % number) for number in range(40)]


class Keeper:
    """A process that asks its keeper, and proves again where it is told another size."""

    def __init__(self, folder: Path) -> None:
        self.now = INTERVAL_MS
        trusted = TrustedCheckpoint(
            folder / "checkpoint", INTERVAL_MS, lambda note: open_checkpoint(note, SIGNER.keys).size
        )
        self.branch = Branch(SIGNER.keys, trusted, lambda: self.now)

    def follow(self, log: Sequence[bytes], size: int) -> int:
        """How often the keeper was asked until it followed the first `size` of the log."""
        since = 0
        for tries in range(1, 9):
            found = self.branch.follow(evidence(log, size, since))
            if not isinstance(found, Conflict):
                return tries
            since = found.size
        raise AssertionError("a conflict each time")


def evidence(log: Sequence[bytes], size: int, since: int) -> Evidence:
    """The first `size` of the log, proved from (or to) its first `since`."""

    def node(level: int, index: int) -> bytes:
        return perfect_root(log[index << level : (index + 1) << level])

    old, new = sorted((size, since))
    proof = tuple(consistency_proof(old, new, node)) if 0 < old < new else ()
    note = SIGNER.sign(Checkpoint("a.example/log", size, root_of(size, node)), 1)
    return Evidence((Receipt(b"", 0, (), note),), since, proof)


@pytest.mark.parametrize("size", [21, 30, 31, 50])
def test_no_neighbour_leads_it_onto_another_branch(tmp_path: Path, size: int) -> None:
    """What it saw within the last second, and didn't write yet, it holds against what a neighbour wrote since."""
    first = Keeper(tmp_path)
    first.follow(ONE, 10)
    second = Keeper(tmp_path)
    first.follow(ONE, 20)
    second.follow(OTHER, 30)
    with pytest.raises(ProofError):
        first.follow(OTHER, size)
    assert (
        first.branch.seen.root
        == open_checkpoint(evidence(ONE, 20, 0).receipts[0].checkpoint, SIGNER.keys).root
    )
    assert first.follow(ONE, 15) <= 2


@pytest.mark.parametrize("size", [15, 21, 30, 31, 50])
def test_a_neighbour_on_the_same_branch_is_gone_on_from(tmp_path: Path, size: int) -> None:
    """Once what is shown is proved from both."""
    first = Keeper(tmp_path)
    first.follow(ONE, 10)
    second = Keeper(tmp_path)
    first.follow(ONE, 20)
    second.follow(ONE, 30)
    assert first.follow(ONE, size) <= 4
    assert first.follow(ONE, 50) <= 4
