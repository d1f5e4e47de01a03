"""The one branch of the log that the keeper follows, by checkpoints and proofs alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from crypto.notes import LogSigner
from durable.trusted import TrustedCheckpoint
from keeper.branch import Branch
from keeper.following import FollowedLog
from keeper.protocol import Conflict, Evidence
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import ProofError
from ledger.logkeys import Generation
from ledger.merkle import consistency_proof, leaf_hash, perfect_root, root_of
from ledger.receipt import Receipt

SIGNER = LogSigner("a.example/log", bytes(32), bytes(32))
INTERVAL_MS = 1_000
TRUNK = [leaf_hash(b"%d" % number) for number in range(10)]
ONE = TRUNK + [leaf_hash(b"one %d" % number) for number in range(40)]
OTHER = TRUNK + [leaf_hash(b"other %d" % number) for number in range(40)]


class Read(FollowedLog):
    """A reading of the log that has come to some size of it, by whatever entries."""

    def __init__(self, log: Sequence[bytes], size: int) -> None:
        self.log, self.size = log, size

    def log_keys(self) -> tuple[tuple[Generation, ...], int]:
        """No entry names a key."""
        return (), self.size

    def end(self) -> Checkpoint:
        """What was read."""
        return checkpoint(self.log, self.size)


def checkpoint(log: Sequence[bytes], size: int) -> Checkpoint:
    """The checkpoint of the first `size` of the log."""
    return Checkpoint("a.example/log", size, root_of(size, nodes(log)) if size else b"")


def nodes(log: Sequence[bytes]):  # type: ignore[no-untyped-def]
    """The log's subtrees."""
    return lambda level, index: perfect_root(log[index << level : (index + 1) << level])


def evidence(log: Sequence[bytes], size: int, since: int) -> Evidence:
    """The first `size` of the log, proved from (or to) its first `since`."""
    old, new = sorted((size, since))
    proof = tuple(consistency_proof(old, new, nodes(log))) if 0 < old < new else ()
    return Evidence((Receipt(b"", 0, (), SIGNER.sign(checkpoint(log, size), 1)),), since, proof)


def branch(folder: Path, read: FollowedLog) -> Branch:
    """What a process that starts makes of its folder."""
    trusted = TrustedCheckpoint(
        folder / "checkpoint", INTERVAL_MS, lambda note: open_checkpoint(note, SIGNER.keys).size
    )
    return Branch(SIGNER.keys, trusted, lambda: INTERVAL_MS, read)


@pytest.mark.parametrize("size", [1, 9, 10, 15, 21, 30])
def test_what_was_read_extends_is_followed(tmp_path: Path, size: int) -> None:
    """At once with the proof from where the keeper stands; then without any."""
    found = branch(tmp_path, Read(ONE, 30))
    shown = evidence(ONE, size, 30)
    assert found.follow(shown) == checkpoint(ONE, size)
    assert found.follow(Evidence(shown.receipts, 0, ())) == checkpoint(ONE, size)


@pytest.mark.parametrize("size", [11, 15, 21, 30])
@pytest.mark.parametrize("since", [0, 5, 10, 15, 29, 30, 31, 50])
def test_another_branch_is_never_followed(tmp_path: Path, size: int, since: int) -> None:
    """However it is proved: from what was read, from the trunk, or from itself."""
    found = branch(tmp_path, Read(ONE, 30))
    found.follow(evidence(ONE, 10, 30))
    for log in (ONE, OTHER):
        shown = Evidence(
            evidence(OTHER, size, since).receipts, since, evidence(log, size, since).proof
        )
        try:
            assert found.follow(shown) == Conflict(30)
        except ProofError:
            continue


@pytest.mark.parametrize("log", [ONE, OTHER], ids=["the log's", "another"])
def test_what_was_not_read_yet_is_a_conflict(tmp_path: Path, log: Sequence[bytes]) -> None:
    """Whatever extends what was read: it is read first."""
    found = branch(tmp_path, Read(ONE, 20))
    assert found.follow(evidence(log, 21, 20)) == Conflict(20, behind=True)


def test_nothing_is_followed_before_the_last_checkpoint_seen(tmp_path: Path) -> None:
    """The reading was lost: what is read anew has to come by it."""
    (tmp_path / "checkpoint").write_bytes(SIGNER.sign(checkpoint(ONE, 30), 1))
    found = branch(tmp_path, Read(OTHER, 20))
    assert found.seen == checkpoint(ONE, 30)
    assert found.follow(evidence(OTHER, 15, 20)) == Conflict(20, behind=True)
