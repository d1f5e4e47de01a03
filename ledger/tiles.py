"""Tiles (C2SP tlog-tiles): where they are, what they hold, and the tree's nodes read from them."""

import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from crypto.texts import counted
from ledger.errors import EventError, ProofError
from ledger.merkle import HASH_BYTES, Frontier, Node, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 256
"""Hashes in a full tile, entries in a full entry bundle."""


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """`tile/<level>/<number>[.p/<width>]`; level `entries` for entry bundles."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def level_tiles(size: int, level: int) -> Iterator[tuple[int, int]]:
    """(number, width) of each tile of `level` in a log of `size` entries."""
    full, rest = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
    yield from ((number, TILE_WIDTH) for number in range(full))
    if rest:
        yield full, rest


def tile_width(size: int, level: int, number: int) -> int:
    """How many hashes (of level 0: entries) tile `number` of `level` holds in a log of `size`.

    Raises LookupError for a tile that such a log doesn't have.
    """
    width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH)
    if number < 0 or width <= 0:
        raise LookupError(
            f"a log of {counted(size, 'entry')} has no tile {number} on level {level}"
        )
    return width


def all_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every hash tile of a log of `size` entries."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield from ((level, number, width) for number, width in level_tiles(size, level))
        level += 1


def tree_paths_of(size: int) -> Iterator[str]:
    """Every path below `tile/` in an export of `size` entries."""
    yield from (tile_path("entries", number, width) for number, width in level_tiles(size, 0))
    yield from (tile_path(*tile) for tile in all_tiles(size))


def join_bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle: u16 big-endian length ‖ entry, for each."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def split_bundle(data: bytes) -> list[bytes]:
    """The entries of an entry bundle; raises EventError if it ends inside one."""
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1]) if start <= end else end + 1
        if at > end:
            raise EventError(f"entry bundle: ends inside entry {len(entries)}")
        entries.append(data[start:at])
    return entries


def tile_nodes(read: Callable[[int, int], bytes], cached: int = 64) -> Callable[[int, int], bytes]:
    """`node(level, index)` over stored tiles; `read(tile level, number)` gives at least what is needed.

    The inner nodes of full tiles are kept, `cached` tiles of them; a partial tile is read anew.
    """

    @lru_cache(maxsize=cached)
    def inner(level: int, number: int) -> list[list[bytes]]:
        return _levels(read(level, number))

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        start = index << height
        number, offset = start >> TILE_HEIGHT, (start % TILE_WIDTH) >> height
        rows = inner(tile_level, number)
        if len(rows) <= height or len(rows[height]) <= offset:
            inner.cache_clear()
            rows = inner(tile_level, number)
        return rows[height][offset]

    return node


class GrowingTiles:
    """The hash tiles of a log whose leaf hashes come in order: each when it is full, the others at the end."""

    def __init__(self) -> None:
        """No leaves so far."""
        self.tree = Frontier()
        self._open: dict[int, list[bytes]] = {}

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Take the next leaf hash; gives (level, number, hashes) of the tiles that are full now."""
        nodes: list[tuple[int, bytes]] = []
        self.tree.append(leaf, nodes)
        full = []
        for height, node in nodes[::TILE_HEIGHT]:
            level = height // TILE_HEIGHT
            hashes = self._open.setdefault(level, [])
            hashes.append(node)
            if len(hashes) == TILE_WIDTH:
                number = (self.tree.size >> (TILE_HEIGHT * (level + 1))) - 1
                full.append((level, number, b"".join(hashes)))
                hashes.clear()
        return full

    def rest(self) -> list[tuple[int, int, bytes]]:
        """(level, number, hashes) of the tiles that are not full."""
        size = self.tree.size
        return [
            (level, size >> (TILE_HEIGHT * (level + 1)), b"".join(hashes))
            for level, hashes in sorted(self._open.items())
            if hashes
        ]


RightEdge = dict[int, list[list[bytes]]]
"""The unfinished tile of each tile level, with the nodes inside it: rows, of which row 0 are its hashes."""


def right_edge_of(size: int, read: Callable[[int, int], bytes]) -> RightEdge:
    """The edge of a tree of `size`; `read(tile level, number)` gives at least what is needed.

    Raises LookupError if it gives less.
    """
    edge, level = RightEdge(), 0
    while size >> (TILE_HEIGHT * level):
        number, width = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
        hashes = read(level, number)[: width * HASH_BYTES] if width else b""
        if len(hashes) < width * HASH_BYTES:
            raise LookupError(f"tile {number} of level {level} has fewer than {width} hashes")
        edge[level] = _rows(hashes)
        level += 1
    return edge


def grow(edge: RightEdge, nodes: Iterable[tuple[int, bytes]]) -> RightEdge:
    """The edge after new nodes (level, hash), in the order in which they came; rows only ever grow."""
    out = dict(edge)
    for level, node in nodes:
        tile, height = divmod(level, TILE_HEIGHT)
        rows = out.get(tile)
        if rows is None or (height == 0 and len(rows[0]) == TILE_WIDTH):
            rows = out[tile] = _rows(b"")
        rows[height].append(node)
    return out


def edge_nodes(size: int, edge: RightEdge, full: Node) -> Node:
    """`node(level, index)` of a tree of `size`: unfinished tiles from the edge, `full` for the others."""

    def node(level: int, index: int) -> bytes:
        tile, height = divmod(level, TILE_HEIGHT)
        number, offset = divmod(index << height, TILE_WIDTH)
        if number < size >> (TILE_HEIGHT * (tile + 1)):
            return full(level, index)
        return edge[tile][height][offset >> height]

    return node


def _rows(data: bytes) -> list[list[bytes]]:
    """The eight rows of nodes inside a tile."""
    rows = _levels(data)[:TILE_HEIGHT]
    return rows + [[] for _ in range(TILE_HEIGHT - len(rows))]


def _levels(data: bytes) -> list[list[bytes]]:
    """All perfect nodes inside a tile, row by row; row 0 are its hashes. Raises ProofError."""
    if len(data) % HASH_BYTES:
        raise ProofError(f"got a tile of {len(data)} bytes, expected hashes of {HASH_BYTES}")
    rows = [[data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])
    return rows
