"""Entries of the key keeper's log: written, read back byte for byte, and refused where they are not of their form."""

import json
from typing import Any

import pytest

from crypto.ids import digits
from ledger.errors import EventError
from ledger.merkle import leaf_hash
from ledger.releases import OBJECTS, Release, key_given, texts_given
from ledger.tiles import TILE_WIDTH, GrowingTiles, all_tiles
from tests.golden import make
from tests.tilereader import tree_hash

GOLDEN = (make.HERE / "releases.jsonl").read_bytes().splitlines()


def test_the_golden_releases_are_read() -> None:
    tip = bytes(32)
    for seq, raw in enumerate(GOLDEN):
        release = Release.parse(raw)
        assert (release.seq, release.prev, release.raw()) == (seq, tip, raw)
        tip = leaf_hash(raw)
    assert [Release.parse(raw).kind for raw in GOLDEN] == [
        "key",
        "texts",
        "export",
        "package",
        "restored",
    ]


def _bent(**members: Any) -> bytes:
    """The first golden release with other members; None takes one out."""
    value = json.loads(GOLDEN[0]) | members
    kept = {name: member for name, member in value.items() if member is not None}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()


GIVEN = json.loads(GOLDEN[0])["released"]
BAD = {
    "no JSON": b"release",
    "not UTF-8": b'"\xff"',
    "a list": b"[]",
    "nothing released": _bent(released=None),
    "an unknown kind": _bent(released={"kind": "root"}),
    "a kind that is no text": _bent(released={"kind": 7}),
    "a member too few": _bent(released={"kind": "key"}),
    "a member too many": _bent(released=GIVEN | {"name": "Pat"}),
    "a surplus member": _bent(title="Blood count"),
    "no event": _bent(event=None),
    "another's event id": _bent(event=make.RECORD),
    "a reading below 0": _bent(reading=-1),
    "a reading that is text": _bent(reading="7"),
    "a number that is true": _bent(seq=True),
    "a fraction": _bent(seq=1.0),
    "no hash": _bent(prev="AAAA"),
    "no time": _bent(time="yesterday"),
    "no day of the calendar": _bent(time="2026-02-31T00:00:00.000Z"),
    "version 0": _bent(released=GIVEN | {"version": 0}),
    "no objects": _bent(released={"kind": "texts", "objects": []}),
    "objects twice": _bent(released={"kind": "texts", "objects": [make.RECORD, make.RECORD]}),
    "an object that is no id": _bent(released={"kind": "texts", "objects": ["Blood count"]}),
    "restored for a reading": _bent(released={"kind": "restored"}),
    "a space": GOLDEN[0].replace(b",", b", ", 1),
    "a repeated key": GOLDEN[0].replace(b'{"event"', b'{"event":"x","event"', 1),
    "more than there may be": b" " * 70_000,
    "deep": b'{"released":' * 5_000 + b"1" + b"}" * 5_000,
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_release(case: str) -> None:
    with pytest.raises(EventError):
        Release.parse(BAD[case])


def test_texts_of_many_objects_are_several_entries_that_fit() -> None:
    names = {f"rc_{digits(number.to_bytes(16, 'big'))}" for number in range(2 * OBJECTS + 1)}
    whats = texts_given(names)
    assert [len(what["objects"]) for what in whats] == [OBJECTS, OBJECTS, 1]
    assert sorted(name for what in whats for name in what["objects"]) == sorted(names)
    for what in whats:
        raw = Release(0, bytes(32), make.TIME, what, 3, make.fixed_id("ev", 1)).raw()
        assert Release.parse(raw).what == what
    assert texts_given(set()) == []


def test_a_key_release_holds_ids_and_numbers_alone() -> None:
    given = key_given(make.RECORD, 1, make.BLOB)
    assert given == {"blob": make.BLOB, "kind": "key", "record": make.RECORD, "version": 1}


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700, 65_536, 65_537])
def test_tiles_that_grow_are_those_of_the_whole_tree(size: int) -> None:
    tiles, leaves = GrowingTiles(), [leaf_hash(b"%d" % number) for number in range(size)]
    made = {}
    for leaf in leaves:
        for level, number, hashes in tiles.append(leaf):
            made[level, number, len(hashes) // 32] = hashes
    for level, number, hashes in tiles.rest():
        made[level, number, len(hashes) // 32] = hashes
    assert sorted(made) == sorted(all_tiles(size))
    for (level, number, width), hashes in made.items():
        step, first = TILE_WIDTH**level, number * TILE_WIDTH
        nodes = (leaves[n * step : (n + 1) * step] for n in range(first, first + width))
        assert hashes == b"".join(map(tree_hash, nodes))
    assert not size or tiles.tree.root() == tree_hash(leaves)
