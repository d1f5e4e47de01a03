"""What a client demands of an entry and of a checkpoint, each clause alone."""

from collections.abc import Sequence

import pytest

from client.proving import check_decision, check_event, proved
from client.trust import KeptInMemory, TrustedLog
from crypto.cosignatures import Checkpoint
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from journeys.errors import NotThere
from ledger.chain import ZERO, Link
from ledger.entry import Entry
from ledger.errors import Tampered
from ledger.event import Signature, sign_bundle, sign_event
from ledger.merkle import Frontier, consistency_proof, inclusion_path, leaf_hash, node_hash
from ledger.receipt import Receipt
from tests.support.paths import GOLDEN as GOLDEN_FILES

ORIGIN = "log.example/unit"
GOLDEN = Entry.parse((GOLDEN_FILES / "entry.json").read_bytes())
KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
SIGNER = LogSigner(ORIGIN, b"1" * 32, b"2" * 32)
SIZE = 7


def entry(sig: Signature, seq: int = GOLDEN.link.seq) -> Entry:
    """The golden event as an entry, under a signature."""
    decision = {**(GOLDEN.decision or {}), "as_of": seq - 1}
    return Entry.make(GOLDEN.event, sig, Link(seq, ZERO, 0, ZERO), GOLDEN.time, decision)


def check(found: Entry, event: bytes = GOLDEN.event.raw) -> None:
    """The client signed the golden event by itself."""
    check_event(found, event, sign_event(KEY, ORIGIN, GOLDEN.event.raw), KEY.public, ORIGIN)


def test_the_entry_holds_the_event_under_a_signature_of_the_same_key() -> None:
    raw = GOLDEN.event.raw
    check(entry(sign_event(KEY, ORIGIN, raw)))
    (bundled,) = sign_bundle(KEY, ORIGIN, [raw])
    check(entry(bundled))  # a retry of what stood in another bundle
    with pytest.raises(Tampered, match="another event was signed"):
        check(entry(sign_event(KEY, ORIGIN, raw)), raw.replace(b"laboratory", b"pathology"))
    with pytest.raises(Tampered, match="is signed by"):
        check(entry(sign_event(OTHER, ORIGIN, raw)))
    for wrong in (sign_event(KEY, "other.example", raw), Signature(KEY.id, bytes(64))):
        with pytest.raises(Tampered, match="signature is not valid"):
            check(entry(wrong))


def test_the_decision_that_is_told_is_the_entrys() -> None:
    found = entry(sign_event(KEY, ORIGIN, GOLDEN.event.raw))
    assert found.decision is not None
    check_decision(found, found.decision)
    for told in ({}, found.decision | {"rule": "S1"}, found.decision | {"basis": []}):
        with pytest.raises(Tampered, match="another decision"):
            check_decision(found, told)


class Log:
    """A log of some entries, the golden event the one before the last; `mark` makes its past another."""

    def __init__(self, size: int = SIZE, mark: bytes = b"") -> None:
        self.raws = [b"%b entry %d" % (mark, n) for n in range(size)]
        self.raws[SIZE - 2] = entry(sign_event(KEY, ORIGIN, GOLDEN.event.raw), SIZE - 2).raw
        self.leaves = [leaf_hash(raw) for raw in self.raws]

    def node(self, level: int, index: int) -> bytes:
        """A perfect subtree."""
        if level == 0:
            return self.leaves[index]
        return node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def checkpoint(self, signer: LogSigner = SIGNER) -> bytes:
        """Its signed checkpoint."""
        frontier = Frontier()
        for leaf in self.leaves:
            frontier.append(leaf)
        return signer.sign(Checkpoint(signer.keys[0].name, len(self.leaves), frontier.root()), 1)

    def receipt(self, index: int) -> Receipt:
        """The receipt of an entry."""
        path = tuple(inclusion_path(index, len(self.leaves), self.node))
        return Receipt(self.raws[index], index, path, self.checkpoint())

    def prove(self, old: int, new: int) -> Sequence[bytes]:
        """A consistency proof, as a server of this log gives it."""
        if new > len(self.leaves):
            raise NotThere(f"{len(self.leaves)} entries")
        return consistency_proof(old, new, self.node)


def test_a_receipt_proves_its_entry() -> None:
    log = Log()
    checkpoint = TrustedLog(ORIGIN, keys(), KeptInMemory()).check(log.checkpoint(), log.prove)
    good = log.receipt(SIZE - 2)
    assert proved(good, SIZE - 2, checkpoint).event.raw == GOLDEN.event.raw
    with pytest.raises(Tampered, match="gave the receipt of entry 5"):
        proved(good, SIZE - 1, checkpoint)
    bent = Receipt(good.entry, good.index, (bytes(32), *good.path[1:]), good.checkpoint)
    with pytest.raises(Tampered, match="the path does not lead"):
        proved(bent, SIZE - 2, checkpoint)
    with pytest.raises(Tampered, match="entry 1: "):
        proved(log.receipt(1), 1, checkpoint)  # no entry at all
    moved = Log()
    moved.raws[3], moved.leaves[3] = good.entry, leaf_hash(good.entry)
    elsewhere = TrustedLog(ORIGIN, keys(), KeptInMemory()).check(moved.checkpoint(), moved.prove)
    with pytest.raises(Tampered, match="its bytes are those of entry 5"):
        proved(moved.receipt(3), 3, elsewhere)


def keys() -> list[str]:
    """The log's verifier keys."""
    return [str(key) for key in SIGNER.keys]


def test_each_checkpoint_fits_the_last_one_kept() -> None:
    trusted, large = TrustedLog(ORIGIN, keys(), KeptInMemory()), Log(SIZE + 5)
    small, fork, ahead = Log(), Log(SIZE, b"other"), Log(SIZE + 9, b"other")
    assert trusted.size() == 0
    trusted.check(small.checkpoint(), large.prove)
    trusted.check(large.checkpoint(), large.prove)
    assert trusted.size() == SIZE + 5
    trusted.check(small.checkpoint(), large.prove)  # an older one of the same log
    assert trusted.size() == SIZE + 5
    for other in (fork, ahead, Log(SIZE + 5, b"other")):
        for prove in (large.prove, ahead.prove):
            with pytest.raises(Tampered, match=r"two histories|went back"):
                trusted.check(other.checkpoint(), prove)
    with pytest.raises(Tampered, match="went back"):
        trusted.check(small.checkpoint(), small.prove)


def test_all_of_the_logs_keys_sign_and_no_others_are_taken() -> None:
    other = LogSigner(ORIGIN, b"3" * 32, b"4" * 32)
    half = LogSigner(ORIGIN, b"1" * 32, b"4" * 32)
    log, kept = Log(), KeptInMemory()
    for signer in (other, half):
        with pytest.raises(Tampered, match="checkpoint"):
            TrustedLog(ORIGIN, keys(), KeptInMemory()).check(log.checkpoint(signer), log.prove)
    TrustedLog(ORIGIN, keys(), kept).check(log.checkpoint(), log.prove)
    named = [str(key) for key in other.keys]
    with pytest.raises(Tampered, match="named by the server"):
        TrustedLog(ORIGIN, named, kept).check(log.checkpoint(other), log.prove)
    with pytest.raises(Tampered, match="given"):
        TrustedLog(ORIGIN, keys(), kept, other.keys).check(log.checkpoint(other), log.prove)
    TrustedLog(ORIGIN, named, kept, SIGNER.keys).check(log.checkpoint(), log.prove)
    with pytest.raises(Tampered, match=r"those of log\.example/unit"):
        TrustedLog("a.example", keys(), KeptInMemory()).check(log.checkpoint(), log.prove)
    for nonsense in ([], ["x"], [keys()[0], keys()[0]]):
        with pytest.raises(Tampered, match="verifier keys"):
            TrustedLog(ORIGIN, nonsense, KeptInMemory()).check(log.checkpoint(), log.prove)
