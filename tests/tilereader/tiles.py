"""A log as files: checkpoint, hash tiles and entry bundles (C2SP tlog-tiles)."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .checkpoint import open_checkpoint
from .strict import HASH_SIZE, LogRefused
from .tree import leaf_hash, tree_hash

TILE_WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """Name a tile: `tile/<L>/<N>[.p/<W>]`, relative to the log, with `/` (tlog-tiles).

    `level` is the tile's level or `"entries"`; `index` is written in groups of three digits,
    all but the last prefixed with `x`; a `width` below 256 hashes makes it a partial tile.
    """
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{number}" + ("" if width == TILE_WIDTH else f".p/{width}")


def tile_layout(size: int) -> Iterator[tuple[int, int, int]]:
    """List the hash tiles of a tree of `size` entries as (level, index, width), lowest first.

    Level L has floor(size / 256^L) hashes; the last tile's width is that modulo 256, and no
    file is left where that is 0 (tlog-tiles, "Partial Tiles"). Bundles lie like level 0.
    """
    level, hashes = 0, size
    while hashes:
        full, rest = divmod(hashes, TILE_WIDTH)
        for index in range(full):
            yield level, index, TILE_WIDTH
        if rest:
            yield level, full, rest
        level, hashes = level + 1, full


def read_log(directory: Path, vkeys: Sequence[str]) -> list[bytes]:
    """Read a log and recompute it from its entries; return the entries in order.

    `directory` holds `checkpoint` and `tile/`; `vkeys` are the log's verifier keys in text
    form, and every one must have signed. Other files beside `tile/` are left alone; inside,
    exactly the tiles of the checkpoint's size may stand, one partial tile a level at most.

    :raises LogRefused: naming the file, and the entry where there is one, at the first fault.
    """
    checkpoint = open_checkpoint(_read(directory, "checkpoint"), vkeys)
    entries = _read_entries(directory, checkpoint.size)
    leaves = [leaf_hash(entry) for entry in entries]
    _check_tiles(directory, leaves)
    root = tree_hash(leaves)
    if root != checkpoint.root:
        raise LogRefused(
            f"checkpoint: got root {checkpoint.root.hex()} of size {checkpoint.size},"
            f" expected {root.hex()} by the entries"
        )
    surplus = _tile_files(directory) - _expected_files(checkpoint.size)
    if surplus:
        raise LogRefused(f"{min(surplus)}: got a file that size {checkpoint.size} has no place for")
    return entries


def _read_entries(directory: Path, size: int) -> list[bytes]:
    """Read all bundles, lowest first: the first that is missing ends it, whatever the size."""
    entries: list[bytes] = []
    for start in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - start)
        name = tile_path("entries", start // TILE_WIDTH, width)
        entries += _parse_bundle(_read(directory, name), start, width, name)
    return entries


def _check_tiles(directory: Path, leaves: list[bytes]) -> None:
    """Compare every hash tile with what the leaf hashes make it."""
    hashes, current = leaves, 0
    for level, index, width in tile_layout(len(leaves)):
        if level != current:  # only full tiles are hashed upwards
            full = len(hashes) - len(hashes) % TILE_WIDTH
            starts = range(0, full, TILE_WIDTH)
            hashes = [tree_hash(hashes[start : start + TILE_WIDTH]) for start in starts]
            current = level
        name = tile_path(level, index, width)
        start = index * TILE_WIDTH
        _compare_tile(_read(directory, name), hashes[start : start + width], level, start, name)


def _compare_tile(data: bytes, hashes: list[bytes], level: int, start: int, name: str) -> None:
    if len(data) != len(hashes) * HASH_SIZE:
        raise LogRefused(f"{name}: got {len(data)} bytes, expected {len(hashes) * HASH_SIZE}")
    for number, expected in enumerate(hashes):
        got = data[number * HASH_SIZE : (number + 1) * HASH_SIZE]
        if got != expected:
            entry = (start + number) * TILE_WIDTH**level
            raise LogRefused(
                f"{name}, hash {number} (from entry {entry}): got {got.hex()},"
                f" expected {expected.hex()}"
            )


def _parse_bundle(data: bytes, first: int, count: int, name: str) -> list[bytes]:
    """Split a bundle: `count` times u16 big-endian length ‖ entry (tlog-tiles, "Log entries")."""
    entries: list[bytes] = []
    offset = 0
    for entry in range(first, first + count):
        start = offset + 2
        end = start + int.from_bytes(data[offset:start], "big")
        if end > len(data):
            raise LogRefused(f"{name}, entry {entry}: got {len(data)} bytes, expected {end}")
        entries.append(data[start:end])
        offset = end
    if offset != len(data):
        raise LogRefused(f"{name}: got {len(data)} bytes, expected {offset} for {count} entries")
    return entries


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise LogRefused(f"{name}: got no file to read ({error.strerror}), expected one") from error


def _expected_files(size: int) -> set[str]:
    layout = list(tile_layout(size))
    bundles = {tile_path("entries", index, width) for level, index, width in layout if level == 0}
    return bundles | {tile_path(level, index, width) for level, index, width in layout}


def _tile_files(directory: Path) -> set[str]:
    """List every file below `tile/` (a link to a directory counts as one), with `/`."""
    found = set()
    for folder, folders, files in os.walk(directory / "tile"):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in files + links:
            found.add((Path(folder) / name).relative_to(directory).as_posix())
    return found
