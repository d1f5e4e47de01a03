"""Tiles and the nodes read from them, for logs of up to 70,000 entries, against the naive tree."""

import hashlib
from collections.abc import Callable
from functools import cache
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import EventError, ProofError
from ledger.merkle import (
    Frontier,
    check_consistency,
    consistency_proof,
    inclusion_path,
    leaf_hash,
    node_hash,
    perfect_ranges,
    range_hash,
    root_from_path,
    root_of,
)
from ledger.tiles import (
    TILE_WIDTH,
    all_tiles,
    edge_nodes,
    grow,
    join_bundle,
    level_tiles,
    right_edge_of,
    split_bundle,
    tile_nodes,
    tile_path,
    tile_width,
    tree_paths_of,
)
from tests.support.naive_tree import frontier_of, tree_hash

LARGE = 70_000


@cache
def stored(size: int = LARGE) -> list[list[bytes]]:
    """The hashes of each tile level, as the log's writer gets them from the frontier."""
    nodes: list[tuple[int, bytes]] = []
    frontier_of([leaf_hash(b"%d" % number) for number in range(size)], nodes)
    return [[node for level, node in nodes if level == 8 * tile] for tile in range(3)]


def tile_reader(size: int) -> Callable[[int, int], bytes]:
    """Tiles as a server with `size` entries has them."""

    def read(level: int, number: int) -> bytes:
        width = dict(level_tiles(size, level))[number]
        return b"".join(stored()[level][number * TILE_WIDTH : number * TILE_WIDTH + width])

    return read


def fast_hash(leaves: list[bytes]) -> bytes:
    """The same tree, row by row, for large trees; equal to `tree_hash` (seen below)."""
    row = leaves
    while len(row) > 1:
        odd = row[len(row) & ~1 :]
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in pairs] + odd
    return row[0]


def test_the_oracle_for_large_trees_is_the_naive_tree() -> None:
    for size in (*range(1, 41), 255, 256, 257, 1_000):
        assert fast_hash(stored()[0][:size]) == tree_hash(stored()[0][:size])


SAMPLES = [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_536 + 256, LARGE - 1, LARGE]


@pytest.mark.parametrize("size", SAMPLES)
def test_tiles_give_the_naive_tree(size: int) -> None:
    leaves, node = stored()[0], tile_nodes(tile_reader(size))
    root = fast_hash(leaves[:size])
    assert root_of(size, node) == root == Frontier(size, node).root()
    for index in {0, size // 3, size - 1}:
        path = inclusion_path(index, size, node)
        assert root_from_path(index, size, leaves[index], path) == root
    old = (size + 1) // 2
    proof = consistency_proof(old, size, node)
    check_consistency(old, fast_hash(leaves[:old]), size, root, proof)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, LARGE), st.data())
def test_trees_of_any_size_from_the_tiles_of_a_larger_one(size: int, data: st.DataObject) -> None:
    node = tile_nodes(tile_reader(LARGE), cached=data.draw(st.sampled_from([1, 2, 64])))
    old, index = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    root = root_of(size, node)
    path = inclusion_path(index, size, node)
    assert root_from_path(index, size, stored()[0][index], path) == root
    check_consistency(old, root_of(old, node), size, root, consistency_proof(old, size, node))
    start, end = sorted((index, old - 1))
    if start % 2 == 0 and end > start and end - start < 300:
        ranges = perfect_ranges(start, end)
        assert sum(1 << level for level, _ in ranges) == end - start
        assert range_hash(start, start + 2, node) == node_hash(*stored()[0][start : start + 2])


def test_a_frontier_goes_on_from_stored_tiles() -> None:
    leaves = stored()[0]
    for size in (0, 1, 300, 65_536, 65_800):
        frontier = Frontier(size, tile_nodes(tile_reader(size)))
        for leaf in leaves[size : size + 20]:
            frontier.append(leaf)
        assert frontier.root() == fast_hash(leaves[: size + 20]) and frontier.size == size + 20


def test_a_growing_partial_tile_is_read_anew() -> None:
    size = 3
    node = tile_nodes(lambda level, number: tile_reader(size)(level, number))
    assert root_of(3, node) == fast_hash(stored()[0][:3])
    size = 200
    assert root_of(200, node) == fast_hash(stored()[0][:200])


TILE_PATHS = {
    (0, 5, 256): "tile/0/005", (0, 0, 1): "tile/0/000.p/1", (1, 999, 255): "tile/1/999.p/255",
    (0, 1000, 256): "tile/0/x001/000", (2, 1_234_067, 256): "tile/2/x001/x234/067",
    ("entries", 1_234_067, 8): "tile/entries/x001/x234/067.p/8", (0, 1_000_000, 256): "tile/0/x001/x000/000",
}  # fmt: skip


@pytest.mark.parametrize("tile", TILE_PATHS)
def test_tile_paths(tile: tuple[int | str, int, int]) -> None:
    assert tile_path(*tile) == TILE_PATHS[tile]


def test_the_layout_of_70_000_entries() -> None:
    full = [f"tile/0/{number:03}" for number in range(273)]
    hashes = [*full, "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    bundles = [path.replace("tile/0", "tile/entries") for path in hashes[:274]]
    assert [tile_path(*tile) for tile in all_tiles(LARGE)] == hashes
    assert list(tree_paths_of(LARGE)) == [*bundles, *hashes]


def test_layouts_without_partial_tiles() -> None:
    assert list(tree_paths_of(0)) == []
    assert list(tree_paths_of(256)) == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert [t for t in all_tiles(65_536) if t[0]] == [(1, 0, 256), (2, 0, 1)]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=300), max_size=10), st.integers(1, 400))
def test_entry_bundles_split_as_they_were_joined(entries: list[bytes], cut: int) -> None:
    data = join_bundle(entries)
    assert split_bundle(data) == entries
    ends = {len(join_bundle(entries[:n])) for n in range(len(entries) + 1)}
    at = max(len(data) - cut, 0)
    if at in ends:
        assert join_bundle(split_bundle(data[:at])) == data[:at]
    else:
        with pytest.raises(EventError, match="ends inside"):
            split_bundle(data[:at])


@pytest.mark.parametrize("data", [b"\0", b"\0\1", b"\0\2a", b"\0\1ab", b"\xff\xff" + bytes(65_534)])
def test_entry_bundles_that_end_inside_an_entry_are_refused(data: bytes) -> None:
    with pytest.raises(EventError, match="ends inside"):
        split_bundle(data)


@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6),
    start=st.integers(0, 70_000 - 4_200),
)
@settings(max_examples=60, deadline=None)
def test_the_right_edge_grows_with_the_tree(sizes: list[int], start: int) -> None:
    """Batch by batch, its nodes lead to the same paths as the stored tiles; earlier ones stay as they were."""
    leaves = stored()[0]
    size, edge = start, right_edge_of(start, tile_reader(LARGE))
    frontier = Frontier(start, tile_nodes(tile_reader(LARGE)))
    seen = []
    for more in sizes:
        nodes: list[tuple[int, bytes]] = []
        for leaf in leaves[size : size + more]:
            frontier.append(leaf, nodes)
        size += more
        edge = grow(edge, nodes)
        seen.append((size, edge_nodes(size, edge, tile_nodes(tile_reader(LARGE)))))
    for size, node in seen:
        for index in {0, size // 2, size - 1, max(0, size - 257)}:
            stored_node = tile_nodes(tile_reader(size))
            assert inclusion_path(index, size, node) == inclusion_path(index, size, stored_node)


@pytest.mark.parametrize("size", [1, 254, 257, 65_537])
def test_a_right_edge_of_more_than_there_is_is_refused(size: int) -> None:
    """Of a tile that is there, but too short; full ones are not its part."""
    right_edge_of(size, tile_reader(size))
    with pytest.raises(LookupError, match="has fewer than"):
        right_edge_of(size + 1, tile_reader(size))


@pytest.mark.parametrize("length", [1, 31, 33, 8_191])
def test_a_tile_holds_whole_hashes(length: int) -> None:
    node = tile_nodes(lambda level, number: bytes(length))
    with pytest.raises(ProofError, match=f"got a tile of {length} bytes"):
        node(0, 0)


def test_a_tile_has_one_width_in_a_log_of_one_size() -> None:
    for size in (0, 1, 255, 256, 257, 70_000, 10**15):
        for level in range(8):
            first = [(number, width) for number, width in islice(level_tiles(size, level), 300)]
            assert first == [(number, tile_width(size, level, number)) for number, _ in first]
            last = -(-(size >> (8 * level)) // TILE_WIDTH)
            for number in (-1, last, last + 1):
                with pytest.raises(LookupError):
                    tile_width(size, level, number)
