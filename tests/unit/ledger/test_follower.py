"""A follower: each entry in order, none skipped, whatever stops it and however often; and how far it is."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Tampered
from ledger.follower import Follower
from ledger.tiles import TILE_WIDTH

SIZE = 5 * TILE_WIDTH + 7
LOG = [b"%d" % seq for seq in range(SIZE)]


class Broken(Exception):
    """What stops it."""


def read(start: int, end: int) -> Sequence[bytes]:
    """The entries, as they are."""
    assert start // TILE_WIDTH == (end - 1) // TILE_WIDTH, "more than one bundle"
    return LOG[start:end]


@given(st.integers(0, SIZE), st.integers(0, SIZE), st.lists(st.integers(0, SIZE - 1), max_size=6))
def test_it_goes_on_where_it_stopped(start: int, size: int, stops: list[int]) -> None:
    """After each stop another one begins at the position kept: all entries come in order, some of them again."""
    taken: list[int] = []
    position, left = start, set(stops)
    while True:
        follower = Follower("test", read, position)
        try:
            for bundle in follower.bundles(size):
                numbers = [int(raw) for raw in bundle]
                if hit := left.intersection(numbers):
                    left -= hit
                    raise Broken
                taken += numbers
            break
        except Broken:
            assert follower.lag(size) == size - follower.position > 0
            position = follower.position
    assert taken == list(range(start, max(start, size)))
    assert follower.lag(size) == 0 and follower.position >= size


@pytest.mark.parametrize("missing", [0, 1, 255, 256, 700, SIZE - 1])
def test_it_never_goes_past_what_is_missing(missing: int) -> None:
    """It says where it is and how much is left, and so it does again."""
    told: list[int] = []
    follower = Follower(
        "the test",
        lambda start, end: [LOG[seq] for seq in range(start, end) if seq != missing],
        progress=lambda position, size: told.append(position),
    )
    first = missing // TILE_WIDTH * TILE_WIDTH
    for _ in range(2):
        words = f"the test stopped at entry {first} with {SIZE - first} to go"
        with pytest.raises(Tampered, match=words):
            list(follower.bundles(SIZE))
        assert (follower.position, follower.lag(SIZE)) == (first, SIZE - first)
    assert told == list(range(TILE_WIDTH, first + 1, TILE_WIDTH))


def test_a_reader_that_fails_stops_it() -> None:
    """What reading raised comes through as it is."""

    def failing(start: int, end: int) -> Sequence[bytes]:
        if start:
            raise Broken
        return LOG[start:end]

    follower = Follower("test", failing)
    with pytest.raises(Broken):
        list(follower.bundles(SIZE))
    assert follower.position == TILE_WIDTH
    assert list(Follower("test", read, follower.position).bundles(TILE_WIDTH + 1)) == [[b"256"]]
