"""The key keeper's log of releases in an export: chain, tree with all its tiles, checkpoint. Pure.

It lies below `releases/`, with files as the ledger's own log has them. Its keys are the keeper's and come from elsewhere,
or prove nothing about where it comes from.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from crypto.texts import counted
from ledger.chain import ZERO
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import LedgerError, Tampered
from ledger.layout import KEY_FILES, Read, check_key_files
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.releases import RESTORED, Release, releases_origin
from ledger.tiles import (
    TILE_WIDTH,
    GrowingTiles,
    level_tiles,
    split_bundle,
    tile_path,
    tree_paths_of,
)
from ledger.verifier import check_extends, read_checkpoint

RELEASES = "releases/"
"""Where the log of releases lies in an export."""
_FILES = ("checkpoint", "log.vkey", *KEY_FILES.values())


@dataclass(frozen=True)
class ReleaseLog:
    """What was found good of a log of releases."""

    origin: str
    size: int
    proven: bool
    """Whether its keys came from outside."""
    restored: tuple[int, ...] = ()
    """The numbers of its entries which say that the keeper was restored."""

    def lines(self) -> list[str]:
        """The report for people."""
        unproven = (
            "" if self.proven else ", origin unproven: give the keeper's keys with --releases-vkey"
        )
        checked = f"{counted(self.size, 'release')}: chain, every tile, checkpoint of {self.origin}"
        return [checked + unproven, *self.told()]

    def told(self) -> list[str]:
        """What it says of its own past."""
        return [
            f"RESTORED: release {number} says that the key keeper was restored from a backup: what it gave out between "
            "that backup and this entry is not in its log"
            for number in self.restored
        ]


def check_releases(
    read: Read,
    paths: Collection[str],
    origin: str,
    vkeys: Sequence[str] | None,
    older: Read | None = None,
    take: Callable[[Release], object] = lambda release: None,
) -> ReleaseLog | None:
    """The log of releases of an export of the log `origin`, which is good; None where there is none.

    `read`, `paths`: the export's; `vkeys`: the keeper's keys for it, from outside; `older`: what reads an older export,
    whose log of releases this one must extend. `take` is called with each entry in order. Raises Tampered.
    """
    here = {path.removeprefix(RELEASES) for path in paths if path.startswith(RELEASES)}
    before = None if older is None else _older(older)
    if not here:
        if vkeys is not None or before is not None:
            raise Tampered(f"{RELEASES}: missing, the key keeper's log of what it gave out")
        return None
    inner = partial(_read, read)
    checkpoint, keys = _checkpoint(inner, vkeys)
    if checkpoint.origin != releases_origin(origin):
        raise Tampered(
            f"{RELEASES}checkpoint: is of {checkpoint.origin}, expected {releases_origin(origin)}"
        )
    _check_layout(here, checkpoint.size)
    _check_keys(inner, here, keys)
    restored = []
    for release in _follow(inner, checkpoint):
        take(release)
        if release.kind == RESTORED:
            restored.append(release.seq)
    if before is not None:
        _check_extends(inner, checkpoint, before, keys)
    return ReleaseLog(checkpoint.origin, checkpoint.size, vkeys is not None, tuple(restored))


def _follow(read: Read, checkpoint: Checkpoint) -> Iterator[Release]:
    """The entries, in order; each follows the one before, and all lead to the tiles and the root."""
    tip, tiles = ZERO, GrowingTiles()
    for number, width in level_tiles(checkpoint.size, 0):
        path = tile_path("entries", number, width)
        raws = _split(path, read(path))
        if len(raws) != width:
            raise Tampered(
                f"{RELEASES}{path}: holds {counted(len(raws), 'release')}, expected {width}"
            )
        for seq, raw in enumerate(raws, number * TILE_WIDTH):
            yield _next(seq, tip, raw)
            tip = leaf_hash(raw)
            _check_tiles(read, tiles.append(tip))
    _check_tiles(read, tiles.rest())
    if tiles.tree.root() != checkpoint.root:
        raise Tampered(f"{RELEASES}checkpoint: its root is not that of the releases")


def _next(seq: int, tip: bytes, raw: bytes) -> Release:
    try:
        release = Release.parse(raw)
    except LedgerError as error:
        raise Tampered(f"release {seq}: {error}") from error
    if (release.seq, release.prev) != (seq, tip):
        raise Tampered(f"release {seq}: does not follow the one before it")
    return release


def _split(path: str, data: bytes) -> list[bytes]:
    try:
        return split_bundle(data)
    except LedgerError as error:
        raise Tampered(f"{RELEASES}{path}: {error}") from error


def _check_tiles(read: Read, tiles: Sequence[tuple[int, int, bytes]]) -> None:
    for level, number, hashes in tiles:
        path = tile_path(level, number, len(hashes) // HASH_BYTES)
        if read(path) != hashes:
            raise Tampered(f"{RELEASES}{path}: its hashes are not those of the releases")


def _check_layout(paths: Collection[str], size: int) -> None:
    """Exactly the files that a log of releases of this size has; the first that is missing ends it."""
    known = set()
    for expected in (_FILES, tree_paths_of(size)):
        for path in expected:
            if path not in paths:
                raise Tampered(f"{RELEASES}{path}: missing in a log of {counted(size, 'release')}")
            known.add(path)
    for path in sorted(set(paths) - known):
        raise Tampered(f"{RELEASES}{path}: surplus in a log of {counted(size, 'release')}")


def _read(read: Read, path: str) -> bytes:
    return read(f"{RELEASES}{path}")


def _checkpoint(
    read: Read, vkeys: Sequence[str] | None
) -> tuple[Checkpoint, Sequence[VerifierKey]]:
    try:
        return read_checkpoint(read, vkeys)
    except Tampered as error:
        words = str(error).removeprefix(RELEASES)
        raise Tampered(f"{RELEASES}{words}") from error


def _check_keys(read: Read, paths: Collection[str], keys: Sequence[VerifierKey]) -> None:
    try:
        check_key_files(read, paths, keys)
    except Tampered as error:
        raise Tampered(f"{RELEASES}{str(error).removeprefix(RELEASES)}") from error


def _older(read: Read) -> Read | None:
    """What reads the log of releases of an older export; None where that has none."""
    try:
        read(f"{RELEASES}checkpoint")
    except Tampered:
        return None
    return partial(_read, read)


def _check_extends(read: Read, now: Checkpoint, older: Read, keys: Sequence[VerifierKey]) -> None:
    try:
        before = open_checkpoint(older("checkpoint"), keys)
    except CryptoError as error:
        raise Tampered(f"the older export's {RELEASES}checkpoint: {error}") from error
    if not before.size:
        return
    try:
        check_extends(read, now, before, "the older export's log of releases")
    except Tampered as error:
        raise Tampered(f"{RELEASES}: {error}") from error
