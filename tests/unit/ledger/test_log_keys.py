"""Which keys of the log count at which size, and what a keeper that hasn't read all of it demands."""

import pytest

from crypto.errors import NoteError
from crypto.notes import LogSigner
from keeper.logkeys import open_followed
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.logkeys import Generation, LogKeys, newest_at

ORIGIN = "log.example/keys"
SIGNERS = [LogSigner(ORIGIN, bytes([n] * 32), bytes([n] * 32)) for n in (1, 2, 3)]
PAIRS = [signer.keys for signer in SIGNERS]
ADDED, RETIRED = (10, 30), (20, 40)
GENERATIONS = (
    Generation(PAIRS[0], 0, RETIRED[0]),
    Generation(PAIRS[1], ADDED[0], RETIRED[1]),
    Generation(PAIRS[2], ADDED[1]),
)
COUNT = {1: {0}, 10: {0}, 11: {0, 1}, 20: {0, 1}, 21: {1}, 30: {1}, 31: {1, 2}, 40: {1, 2}, 41: {2}}
"""Which generations count at a size."""


def note(size: int, signed: set[int]) -> bytes:
    """A checkpoint that these generations signed."""
    checkpoint = Checkpoint(ORIGIN, size, bytes(32))
    lines = b"".join(SIGNERS[number].lines(checkpoint, 1) for number in sorted(signed))
    return checkpoint.text() + b"\n" + lines


@pytest.mark.parametrize("size", COUNT)
def test_every_key_that_counts_must_have_signed(size: int) -> None:
    keys = LogKeys(GENERATIONS)
    assert open_checkpoint(note(size, COUNT[size]), keys).size == size
    assert open_checkpoint(note(size, {0, 1, 2}), keys).size == size
    for missing in COUNT[size]:
        with pytest.raises(NoteError):
            open_checkpoint(note(size, {0, 1, 2} - {missing}), keys)


def test_as_a_sequence_they_are_those_that_stand() -> None:
    assert list(LogKeys(GENERATIONS)) == list(PAIRS[2])
    assert list(LogKeys(GENERATIONS[:1])) == []
    assert len(LogKeys([Generation(PAIRS[0], 0), Generation(PAIRS[1], 5)])) == 4
    assert LogKeys(GENERATIONS).ever() == [key for pair in PAIRS for key in pair]
    assert newest_at(GENERATIONS, 41) == GENERATIONS[2]
    assert newest_at(GENERATIONS[1:], 10) is None


def test_a_keeper_demands_the_newest_keys_that_it_has_read_of() -> None:
    """Those before them may be retired by what it hasn't read; what it has read it holds to the whole rule."""
    known = (Generation(PAIRS[0], 0), Generation(PAIRS[1], ADDED[0]))
    assert open_followed(note(21, {1}), PAIRS[0], known, 15).size == 21
    with pytest.raises(NoteError):
        open_followed(note(21, {0}), PAIRS[0], known, 15)  # as whoever stole the old ones could
    for signed in ({0}, {1}):
        with pytest.raises(NoteError):
            open_followed(note(15, signed), PAIRS[0], known, 15)
    assert open_followed(note(15, {0, 1}), PAIRS[0], known, 15).size == 15


def test_a_keeper_begins_with_the_keys_that_it_was_made_with() -> None:
    assert open_followed(note(41, {2}), PAIRS[2], (), 0).size == 41
    assert open_followed(note(41, {2}), PAIRS[2], GENERATIONS[:1], 5).size == 41
    with pytest.raises(NoteError):
        open_followed(note(41, {1}), PAIRS[2], GENERATIONS[:1], 5)
    with pytest.raises(NoteError, match="doesn't name the keys"):
        open_followed(note(5, {0, 2}), PAIRS[2], GENERATIONS[:1], 5)
