"""What a thief of the log's retired keys can show a client that has the newer ones: nothing that it takes."""

from collections.abc import Sequence

import pytest

from api.operator.logkeys import retire_keys, rotate_keys
from client.trust import KeptInMemory, TrustedLog
from crypto.notes import LogSigner, VerifierKey
from ledger.checkpoint import Checkpoint
from ledger.errors import Tampered
from ledger.merkle import consistency_proof, leaf_hash, perfect_root, root_of
from tests.support.ledger_fixture import LedgerFixture


@pytest.fixture
def engine() -> str:
    """One engine will do: what is tested is the client."""
    return "sqlite"


class Thief:
    """A server that has the log, its hand-overs and its retired keys, and a tree of its own that leaves the log's."""

    def __init__(self, fixture: LedgerFixture) -> None:
        self.ledger, self.first = fixture.ledger, tuple(fixture.ledger.vkeys)
        old = fixture.ledger.log._signers._of(self.first)
        assert isinstance(old, LogSigner)
        self.old, self.notes = old, {fixture.size(): fixture.ledger.head().checkpoint}
        self.fork = fixture.size()
        for _ in range(3):
            fixture.person()
        rotate_keys(fixture.settings, self.ledger, fixture.operator)
        retire_keys(fixture.settings, self.ledger, fixture.operator)
        fixture.person()
        self.notes[fixture.size()] = self.ledger.head().checkpoint
        self.added = self.ledger.vkeys.generations[-1].added
        with self.ledger.database.read() as connection:
            entries = self.ledger.store.range(connection, 0, fixture.size())
        self.leaves = [leaf_hash(raw) for raw in entries]
        self.theirs = [*self.leaves[: self.fork], *map(leaf_hash, [b"forged"] * self.added)]

    def forged(self, size: int) -> bytes:
        """A checkpoint of the thief's own tree, by the retired keys."""
        root = root_of(size, self._nodes(self.theirs))
        return self.old.sign(Checkpoint(self.ledger.origin, size, root), 1)

    def prove(self, old: int, new: int) -> Sequence[bytes]:
        """A proof in whichever tree serves: those of the thief's checkpoints are in the thief's."""
        log = self.theirs if new <= self.added and old <= self.fork else self.leaves
        return consistency_proof(old, new, self._nodes(log))

    def client(self, keys: Sequence[VerifierKey]) -> TrustedLog:
        """A client that has these keys and keeps nothing yet."""
        return TrustedLog(
            self.ledger.origin, (), KeptInMemory(), keys, lambda: self.ledger.handovers()
        )

    def _nodes(self, log: list[bytes]):  # type: ignore[no-untyped-def]
        return lambda level, index: perfect_root(log[index << level : (index + 1) << level])


@pytest.mark.parametrize("back", [0, 1, 2])
def test_who_has_the_new_keys_takes_nothing_that_the_old_ones_signed_alone(
    fixture: LedgerFixture, back: int
) -> None:
    """Of no size, though there was a time when these sufficed; neither at once nor after an old checkpoint of the log's."""
    thief = Thief(fixture)
    assert thief.fork < thief.added - back
    forged = thief.forged(thief.added - back)
    for before in ([], [thief.notes[thief.fork]]):
        client = thief.client(tuple(fixture.ledger.vkeys))
        for note in before:
            assert client.check(note, thief.prove).size == thief.fork
        for _ in range(2):
            with pytest.raises(Tampered):
                client.check(forged, thief.prove)
        newest = fixture.ledger.head().checkpoint
        assert client.check(newest, thief.prove).size == fixture.size()
        assert client.check(thief.notes[thief.fork], thief.prove).size == thief.fork
