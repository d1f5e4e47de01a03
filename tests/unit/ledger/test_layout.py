"""The files of an export: which there are, how long they may be; nothing is counted out that isn't there."""

import pytest

from ledger.errors import Tampered
from ledger.layout import (
    BUNDLE_BYTES_LIMIT,
    FIXED_FILES,
    KEY_FILES,
    TEXT_LIMIT,
    TILE_BYTES_LIMIT,
    check_folders,
    check_layout,
    check_tile,
    manifest_limit,
    size_limit,
)
from ledger.tiles import tree_paths_of

SIZES = (0, 1, 255, 256, 257, 65_536, 70_000)
HUGE = 10**18


def layout(size: int) -> set[str]:
    return {*FIXED_FILES, "manifest", *tree_paths_of(size)}


@pytest.mark.parametrize("size", SIZES)
def test_an_export_has_exactly_its_files(size: int) -> None:
    files = layout(size)
    check_layout(files, size)
    check_layout(files | set(KEY_FILES.values()) | {"releases/checkpoint"}, size)
    for path in {*FIXED_FILES, *sorted(tree_paths_of(size))[-2:]}:
        with pytest.raises(Tampered, match=f"^{path}: missing in a log of {size} entr"):
            check_layout(files - {path}, size)
    with pytest.raises(Tampered, match=r"^other: surplus in a log of"):
        check_layout(files | {"other"}, size)
    with pytest.raises(Tampered, match=r"missing|surplus"):
        check_layout(files, size + 1)


@pytest.mark.parametrize("size", SIZES)
def test_a_size_that_nothing_bears_out_ends_at_the_first_file_missing(size: int) -> None:
    with pytest.raises(Tampered, match=f"missing in a log of {HUGE} entries"):
        check_layout(layout(size), HUGE)


@pytest.mark.parametrize(
    ("size", "level", "number", "width"),
    [(1, 0, 0, 1), (256, 0, 0, 256), (257, 0, 1, 1), (70_000, 0, 273, 112), (70_000, 1, 1, 17)],
)
def test_a_tile_has_as_many_hashes_as_its_log_has(
    size: int, level: int, number: int, width: int
) -> None:
    assert check_tile("tile", bytes(32 * width), size, level, number) == bytes(32 * width)
    for length in (0, 32 * width - 1, 32 * width + 1, 32 * (width + 1)):
        with pytest.raises(Tampered, match=f"^tile: got {length} bytes of hashes"):
            check_tile("tile", bytes(length), size, level, number)


def test_only_folders_that_hold_a_file_stand_in_an_export() -> None:
    paths = ["README", "tile/0/000", "tile/entries/x001/000"]
    check_folders(["tile", "tile/0", "tile/entries", "tile/entries/x001"], paths)
    for folder in ("sub", "tile/1", "releases", "tile/0/000x"):
        with pytest.raises(Tampered, match=f"^{folder}/: surplus, an empty folder"):
            check_folders(["tile", folder], paths)


def test_every_kind_of_file_has_a_longest_size() -> None:
    assert size_limit("tile/entries/000") == BUNDLE_BYTES_LIMIT == 256 * 65_537
    assert size_limit("tile/0/000.p/7") == TILE_BYTES_LIMIT == 8_192
    assert size_limit("checkpoint") == size_limit("releases/checkpoint") == 1_000_000
    assert size_limit("releases/tile/entries/000") == BUNDLE_BYTES_LIMIT
    assert size_limit("README") == size_limit("anything") == TEXT_LIMIT
    listed = "".join(f"{'0' * 64}  {path}\n" for path in layout(70_000))
    assert len(listed) < manifest_limit(layout(70_000)) < 4 * len(listed) + 1024 * 1024 + 1
